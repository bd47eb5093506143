import { Redis } from '@upstash/redis';
import type { Config } from '../../lib/config.ts';
import { codeOf, type Finding, note, ok, patienceMs, since, todo } from './finding.ts';

/** Whether the cache answers, or what keeps everything. Without a cache all works, at the database's speed. */
export async function checkCache({ cache, storage }: Config): Promise<Finding> {
  const topic = storage === 'redis' ? 'redis' : 'cache';
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
    if (answer === 'PONG') return ok(topic, `${host}, ${since(started)}`);
    return todo(topic, `${host} answers, but not as Upstash Redis does: see to its URL`);
  } catch (error) {
    return todo(
      topic,
      `${host} does not answer (${codeOf(error)}): see to its URL and token${topic === 'cache' ? ', or unset both' : ''}`,
    );
  }
}
