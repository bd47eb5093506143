import { BatonError, type FieldError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';

/** Bytes a body may have: an ordinary one, and a webhook's (Meta sends up to 3 MB). */
export const BODY_LIMIT = 1_048_576;
export const WEBHOOK_LIMIT = 4 * 1_048_576;

const tooLarge = (limit: number) =>
  new BatonError('body_too_large', `The body is larger than ${limit} bytes; send less at a time`);

/**
 * The raw bytes of a body, read no further than the limit.
 *
 * @throws {BatonError} `body_too_large`; `unsupported_media_type` for a compressed body: its size could not be bounded
 */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding !== 'identity') {
    throw new BatonError('unsupported_media_type', 'Send the body without Content-Encoding');
  }
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge(limit);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
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
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new BatonError('invalid_json', 'The body is not JSON in UTF-8');
  }
  if (!isJsonObject(value)) {
    throw new BatonError('invalid_request', 'The body must be a JSON object', [
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

/** @throws {BatonError} `invalid_request` with one entry per thing that is wrong */
export function check<T>(schema: Schema<T>, value: JsonObject): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.map(({ path, message }): FieldError => ({
    path: path.map(String).join('.'),
    message,
  }));
  throw new BatonError('invalid_request', 'The body has the wrong shape; see errors', errors);
}
