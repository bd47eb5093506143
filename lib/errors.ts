/** Every way a call can fail, as callers see it in `code`. The status of each stands in http/problem.ts. */
export type ErrorCode =
  | 'invalid_device_id'
  | 'invalid_json'
  | 'invalid_request'
  | 'unstorable_text'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'turn_lost'
  | 'state_conflict'
  | 'version_conflict'
  | 'body_too_large'
  | 'state_too_large'
  | 'unsupported_media_type'
  | 'internal_error'
  | 'agent_failed'
  | 'storage_unavailable'
  | 'not_configured';

/** One thing wrong with a request's shape: a path like `replies.0.content`, and what was expected there. */
export interface FieldError {
  path: string;
  message: string;
}

/**
 * A refusal with a code. `detail` says in one sentence what to do next and never carries message text,
 * phone numbers, parameters or secrets: it is sent to the caller and may be logged.
 */
export class BatonError extends Error {
  override readonly name = 'BatonError';
  readonly code: ErrorCode;
  readonly fields: readonly FieldError[];

  constructor(code: ErrorCode, detail: string, fields: readonly FieldError[] = []) {
    super(detail);
    this.code = code;
    this.fields = fields;
  }
}
