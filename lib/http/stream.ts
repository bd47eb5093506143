import { describeError, log } from '../log.ts';

/**
 * An answer that is written as it is read. What fails before the first part is thrown; later the connection breaks,
 * so that nobody takes a part for the whole.
 */
export async function streamed(
  parts: AsyncGenerator<string, void>,
  headers: Record<string, string>,
): Promise<Response> {
  const first = await parts.next();
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    try {
      if (first.done !== true) yield encoder.encode(first.value);
      for await (const part of parts) yield encoder.encode(part);
    } catch (error) {
      log('error', 'download_broke_off', describeError(error));
      throw error;
    }
  };
  return new Response(ReadableStream.from(bytes()), { headers });
}
