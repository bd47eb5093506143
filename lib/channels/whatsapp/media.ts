import * as z from 'zod/mini';
import type { Config } from '../../config.ts';
import { parseJson } from '../../json.ts';
import { type Channel, type Media, MediaError } from '../channel.ts';
import { whatsAppMetadata } from './metadata.ts';

/** Bytes: what WhatsApp takes of everything but documents, which may have 100 MB. */
const MAX_BYTES = 16 * 1_048_576;
/** Milliseconds for all of it. */
const TIMEOUT = 30_000;
const MAX_HOPS = 4;
/** Bytes of an answer that tells where a file is. */
const MAX_TOLD = 65_536;

/** Where Meta keeps what people send. It asks for the token; the hosts it sends on to are given signed URLs. */
const LOOKASIDE = 'lookaside.fbsbx.com';
const STORES = /(^|\.)(fbsbx\.com|fbcdn\.net|whatsapp\.net)$/;

const told = z.object({
  url: z.string(),
  mime_type: z.optional(z.string()),
  file_size: z.optional(z.union([z.number(), z.string()])),
});

interface Call {
  token: string;
  graph: URL;
  signal: AbortSignal;
}

/**
 * Fetches what a person sent, in two steps: the Graph API tells where it lies for the next five minutes, and there it
 * is. Nobody but Meta's hosts is asked, whatever an answer says, and only those that want the token are given it.
 * https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
 */
export function createMediaFetcher(config: Config['whatsapp']): NonNullable<Channel['fetchMedia']> {
  const graph = new URL(config.apiUrl);
  return async (message, { account }, signal, limits = {}) => {
    const { maxBytes = MAX_BYTES, timeoutMs = TIMEOUT } = limits;
    const metadata = whatsAppMetadata(message);
    if (metadata === null || !('media' in metadata)) throw new MediaError('no_media');
    if (config.accessToken === null) throw new MediaError('not_configured');
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const call = { token: config.accessToken, graph, signal: inTime };
    const path = `${config.apiVersion}/${encodeURIComponent(metadata.media.id)}`;
    const from = `${config.apiUrl}/${path}?phone_number_id=${encodeURIComponent(account)}`;
    try {
      return await fetchMedia(from, call, maxBytes);
    } catch (error) {
      if (error instanceof MediaError) throw error;
      signal.throwIfAborted();
      throw new MediaError('unreachable');
    }
  };
}

async function fetchMedia(from: string, call: Call, maxBytes: number): Promise<Media> {
  const answer = new TextDecoder().decode(await readUpTo(MAX_TOLD, await get(from, call)));
  const place = told.safeParse(parseJson(answer)).data;
  if (place === undefined) throw new MediaError('unreachable');
  if (Number(place.file_size ?? 0) > maxBytes) throw new MediaError('too_large');
  const file = await get(place.url, call);
  const type = place.mime_type ?? file.headers.get('content-type');
  return { bytes: await readUpTo(maxBytes, file), mimeType: type ?? 'application/octet-stream' };
}

/** Follows redirects by hand: each host is looked at before anything is sent there. */
async function get(first: string, { token, graph, signal }: Call): Promise<Response> {
  let url = toUrl(first);
  for (let hop = 0; hop < MAX_HOPS; hop++) {
    const isGraph = url.origin === graph.origin;
    const isMetas = isGraph || (url.protocol === 'https:' && STORES.test(url.hostname));
    if (!isMetas) break;
    const knowsUs = isGraph || url.hostname === LOOKASIDE;
    const response = await fetch(url, {
      headers: knowsUs ? { authorization: `Bearer ${token}` } : {},
      redirect: 'manual',
      signal,
    });
    if (response.ok) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (response.status > 399 || location === null) throw ofStatus(response.status);
    url = toUrl(location, url);
  }
  throw new MediaError('foreign_host');
}

function toUrl(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new MediaError('foreign_host');
  return new URL(text, base);
}

/** Meta answers 400 for an id that has expired, 404 for a URL that has. */
function ofStatus(status: number): MediaError {
  if (status === 401 || status === 403) return new MediaError('refused');
  const isGone = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return new MediaError(isGone ? 'not_found' : 'unreachable');
}

/** Counted as it comes: what a header says of a length need not be true. */
async function readUpTo(maxBytes: number, response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new MediaError('too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
