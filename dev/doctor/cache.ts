import { Redis } from '@upstash/redis';
import type { Config } from '../../lib/config.ts';
import { codeOf, type Finding, note, ok, patienceMs, since, todo } from './finding.ts';

/** Whether the cache answers. Without one everything works, at the database's speed. */
export async function checkCache({ cache }: Config): Promise<Finding> {
  if (cache === null) return note('cache', 'not set, and not needed');
  const started = performance.now();
  const redis = new Redis({
    ...cache,
    retry: false,
    automaticDeserialization: false,
    // a function: with a plain signal a time-out looks like an answer
    signal: () => AbortSignal.timeout(patienceMs),
    enableTelemetry: false,
  });
  const { host } = new URL(cache.url);
  try {
    const answer = await redis.ping();
    if (answer === 'PONG') return ok('cache', `${host}, ${since(started)}`);
    return todo('cache', `${host} answers, but not as Upstash Redis does: see to its URL`);
  } catch (error) {
    return todo(
      'cache',
      `${host} does not answer (${codeOf(error)}): see to its URL and token, or unset both`,
    );
  }
}
