import type { BatonError, ErrorCode } from '../errors.ts';

/** The status of every code. Exhaustive: a code without a row does not compile. */
const STATUS: Record<ErrorCode, number> = {
  invalid_device_id: 400,
  invalid_json: 400,
  invalid_request: 400,
  unstorable_text: 400,
  unauthorized: 401,
  forbidden: 403,
  wrong_device: 403,
  not_found: 404,
  session_not_found: 404,
  device_not_found: 404,
  link_code_invalid: 404,
  method_not_allowed: 405,
  body_timeout: 408,
  device_exists: 409,
  turn_lost: 409,
  state_conflict: 409,
  session_complete: 409,
  version_conflict: 412,
  body_too_large: 413,
  state_too_large: 413,
  message_too_large: 413,
  metadata_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal_error: 500,
  agent_failed: 500,
  not_supported: 501,
  storage_unavailable: 503,
  identity_unavailable: 503,
  not_configured: 503,
};

/** As node:http has them in STATUS_CODES, whose import alone costs a cold start some 5 ms. */
const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/**
 * Headers that belong to a code. Seconds in Retry-After: a database that restarts is back by then, and some of what
 * waits is answered.
 */
const HEADERS: Partial<Record<ErrorCode, Record<string, string>>> = {
  unauthorized: { 'www-authenticate': 'Bearer' },
  rate_limited: { 'retry-after': '30' },
  storage_unavailable: { 'retry-after': '2' },
  identity_unavailable: { 'retry-after': '10' },
};

/** The answer to a refused call, RFC 9457; `code` is the word to decide by, `detail` the sentence to read. */
export function problem(
  { code, message, fields, retryAfter }: BatonError,
  headers: Record<string, string> = {},
): Response {
  const status = STATUS[code];
  const body = {
    type: 'about:blank',
    title: TITLES[status],
    status,
    detail: message,
    code,
    ...(fields.length > 0 && { errors: fields }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...HEADERS[code],
      ...(retryAfter !== null && { 'retry-after': String(retryAfter) }),
      ...headers,
    },
  });
}
