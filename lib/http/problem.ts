import { STATUS_CODES } from 'node:http';
import type { BatonError, ErrorCode } from '../errors.ts';

/** The status of every code. Exhaustive: a code without a row does not compile. */
const STATUS: Record<ErrorCode, number> = {
  invalid_device_id: 400,
  invalid_json: 400,
  invalid_request: 400,
  unstorable_text: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  turn_lost: 409,
  state_conflict: 409,
  version_conflict: 412,
  body_too_large: 413,
  state_too_large: 413,
  unsupported_media_type: 415,
  internal_error: 500,
  agent_failed: 500,
  storage_unavailable: 503,
  not_configured: 503,
};

/** Headers that belong to a code. Seconds in Retry-After: a database that restarts is back by then. */
const HEADERS: Partial<Record<ErrorCode, Record<string, string>>> = {
  unauthorized: { 'www-authenticate': 'Bearer' },
  storage_unavailable: { 'retry-after': '2' },
};

/** The answer to a refused call, RFC 9457; `code` is the word to decide by, `detail` the sentence to read. */
export function problem(
  { code, message, fields }: BatonError,
  headers: Record<string, string> = {},
): Response {
  const status = STATUS[code];
  const body = {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: message,
    code,
    ...(fields.length > 0 && { errors: fields }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...HEADERS[code], ...headers },
  });
}
