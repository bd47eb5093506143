/** Every way a call can fail, as callers see it in `code`. The status of each stands in http/problem.ts. */
export const ERROR_CODES = [
  'invalid_device_id',
  'invalid_json',
  'invalid_request',
  'unstorable_text',
  'unauthorized',
  'forbidden',
  'wrong_device',
  'not_found',
  'session_not_found',
  'device_not_found',
  'link_code_invalid',
  'method_not_allowed',
  'body_timeout',
  'device_exists',
  'turn_lost',
  'state_conflict',
  'session_complete',
  'version_conflict',
  'body_too_large',
  'state_too_large',
  'message_too_large',
  'metadata_too_large',
  'unsupported_media_type',
  'rate_limited',
  'internal_error',
  'agent_failed',
  'not_supported',
  'storage_unavailable',
  'identity_unavailable',
  'not_configured',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

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
  /** Seconds after which the same call may succeed; null: as `http/problem.ts` says for the code. */
  readonly retryAfter: number | null;

  constructor(
    code: ErrorCode,
    detail: string,
    fields: readonly FieldError[] = [],
    retryAfter: number | null = null,
  ) {
    super(detail);
    this.code = code;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }

  /** By its name: a deployment has this class twice, since its storages are a bundle of their own. */
  static override [Symbol.hasInstance](value: unknown): value is BatonError {
    return value instanceof Error && value.name === 'BatonError';
  }
}
