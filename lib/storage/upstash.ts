/** Where an Upstash Redis is, over HTTP, and the token that opens it. */
export interface UpstashAccess {
  url: string;
  token: string;
}

/**
 * One POST of Upstash's REST protocol, which is all that the cache and the Redis storage want of it: their own client
 * would be 78 KB in the file that every cold start reads, and repeats and batches what must be sent once.
 *
 * @param path `/` takes a command as a list of its words, `/pipeline` a list of those
 * @param timeoutMs milliseconds until the call counts as failed, connecting included
 * @returns the HTTP status and the answer, of whatever shape; rejects where there is none
 */
export async function postToUpstash(
  { url, token }: UpstashAccess,
  path: '/' | '/pipeline',
  body: unknown,
  timeoutMs: number,
): Promise<{ status: number; told: unknown }> {
  const response = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, told: await response.json() };
}
