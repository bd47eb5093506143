import { BatonError, type FieldError } from '../errors.ts';
import { isJsonObject, type JsonObject, parseJson } from '../json.ts';

/** Bytes a body may have: an ordinary one, and a webhook's (Meta sends up to 3 MB). */
export const BODY_LIMIT = 1_048_576;
export const WEBHOOK_LIMIT = 4 * 1_048_576;

/** Milliseconds a body may take: one that drips in holds a function, and its owner pays for it. */
const BODY_MS = 30_000;

const tooLarge = (limit: number) =>
  new BatonError('body_too_large', `The body is larger than ${limit} bytes; send less at a time`);

/**
 * The raw bytes of a body, read no further than the limit and no longer than 30 seconds.
 *
 * @throws {BatonError} `body_too_large`, `body_timeout`; `invalid_request` for one that breaks off;
 *   `unsupported_media_type` for a compressed body: its size could not be bounded
 */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding !== 'identity') {
    throw new BatonError('unsupported_media_type', 'Send the body without Content-Encoding');
  }
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge(limit);
  if (request.body === null) return new Uint8Array();
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  // ends the read that waits, and whatever else is on its way
  const stop = () => void reader.cancel().catch(() => {});
  const clock = { late: false };
  const timer = setTimeout(() => {
    clock.late = true;
    stop();
  }, BODY_MS);
  try {
    return await readAll(reader, limit, clock);
  } finally {
    clearTimeout(timer);
    stop();
  }
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limit: number,
  clock: { readonly late: boolean },
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new BatonError('invalid_request', 'The body broke off; send it whole');
    });
    if (clock.late) {
      throw new BatonError(
        'body_timeout',
        `The body took longer than ${BODY_MS / 1_000} seconds; send it again, faster`,
      );
    }
    if (done) return Buffer.concat(chunks);
    size += value.byteLength;
    if (size > limit) throw tooLarge(limit);
    chunks.push(value);
  }
}

/** @throws {BatonError} `unsupported_media_type` */
export function requireType(request: Request, type: string): void {
  const given = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (given !== type)
    throw new BatonError('unsupported_media_type', `Send the body with Content-Type: ${type}`);
}

/** @throws {BatonError} `invalid_json` for what is not JSON in UTF-8, `invalid_request` for JSON that is no object */
export function parseObject(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new BatonError('invalid_json', 'Send the body as JSON in UTF-8');
  }
  if (!isJsonObject(value)) {
    throw new BatonError('invalid_request', 'Send a JSON object as the body', [
      { path: '', message: 'expected an object' },
    ]);
  }
  return value;
}

/** The shape of a schema's result, as far as checking a body needs it. */
interface Schema<T> {
  safeParse(value: unknown):
    | { success: true; data: T }
    | {
        success: false;
        error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
      };
}

/**
 * @param what of the request is checked: the body, or its query
 * @throws {BatonError} `invalid_request` with one entry per thing that is wrong
 */
export function check<T>(schema: Schema<T>, value: JsonObject, what = 'body'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }): FieldError => ({
    path: path.map(String).join('.'),
    message,
  }));
  throw new BatonError('invalid_request', `The ${what} has the wrong shape; see errors`, errors);
}
