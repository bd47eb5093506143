import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toPrometheus } from '../../lib/metrics.ts';
import type { Delivery, Metrics } from '../../lib/storage/storage.ts';
import { type Series, seriesIn, seriesOf } from '../support/promql.ts';

const root = resolve(import.meta.dirname, '../..');
const rules = await readFile(join(root, 'docs/alerts.yml'), 'utf8');
const alerts = [...rules.matchAll(/- alert: (\w+)\n +expr: (.+)$/gm)].map(
  ([, alert = '', expr = '']) => ({ alert, expr }),
);

const replies = { pending: 1, unknown: 1, sent: 1, printed: 1, failed: 1 };

/** A deployment that has counted nothing yet. */
const metrics: Metrics = {
  now: new Date(),
  locks: [],
  lockAge: { count: 0, sum: 0, median: null, p95: null },
  sessions: { active: 0, complete: 0, expired: 0, averageBytes: 0, largestBytes: 0, over1mb: 0 },
  waiting: 0,
  failed: 0,
  replies: replies satisfies Record<Delivery['status'], number>,
  counters: [],
};

/** Whether a scrape came through is Prometheus's own to say, with the job of the page's first lines. */
const exposed: Series[] = [{ __name__: 'up', job: 'baton' }, ...seriesIn(toPrometheus(metrics))];

describe('docs/alerts.yml', () => {
  it('has an expression for each alert, and no text that YAML would take apart', () => {
    expect(alerts.length).toBeGreaterThan(8);
    expect(rules.match(/- alert:/g)).toHaveLength(alerts.length);
    expect(rules).not.toMatch(/^ +(expr|summary): .*(: | #)/m);
  });

  it.each(alerts)('$alert can fire: all that it asks for is served from the start', ({ expr }) => {
    expect(seriesOf(expr, exposed)).not.toHaveLength(0);
  });

  it.each([
    ['Not exposed', 'baton_caches_total > 0'],
    ['Not exposed', 'increase(baton_cache_total{result="error"}[10m]) > 20'],
    ['Not exposed', 'sum(baton_cache_total{result=~"hit|error"}) > 20'],
    ['Not exposed', 'baton_sessions{status="active"} > 20'],
    [
      'No two',
      'baton_cleanups_total{outcome="partial"} and baton_cleanups_total{outcome="complete"}',
    ],
    [
      'No two',
      'baton_cleanups_total{outcome="partial"} unless baton_cleanups_total{outcome="complete"}',
    ],
    ['No two', 'baton_waiting_messages / on(state) baton_sessions'],
    ['No two', 'baton_cache_total{result="hit"} > sum(baton_cache_total)'],
    ['No PromQL', 'increase(baton_cache_total[10m] > 0'],
  ])('%s: %s could never fire', (why, expr) => {
    expect(() => seriesOf(expr, exposed)).toThrow(why);
  });

  it('is explained, each alert by its name', async () => {
    const page = await readFile(join(root, 'docs/operations.md'), 'utf8');
    const explained = [...page.matchAll(/^\| `(Baton\w+)` +\|/gm)].map((match) => match[1] ?? '');
    expect(explained).toEqual(alerts.map(({ alert }) => alert));
  });
});
