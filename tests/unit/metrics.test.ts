import { describe, expect, it } from 'vitest';
import { LABELS } from '../../lib/counters.ts';
import { toPrometheus } from '../../lib/metrics.ts';
import type { CounterName, Metrics } from '../../lib/storage/storage.ts';

const at = new Date('2026-11-21T04:05:06.789Z');

const metrics: Metrics = {
  now: at,
  locks: [{ agent: 'billing', active: 3 }],
  lockAge: { count: 3, sum: 60.5, median: 20, p95: 30 },
  sessions: {
    active: 4,
    complete: 1,
    expired: 2,
    averageBytes: 200,
    largestBytes: 900,
    over1mb: 0,
  },
  waiting: 5,
  failed: 6,
  replies: { sent: 7, unknown: 1 },
  counters: [
    { name: 'cache', label: 'hit', value: 8, updatedAt: at },
    { name: 'cleanups', label: 'complete', value: 2, updatedAt: at },
    { name: 'cleanups', label: 'partial', value: 1, updatedAt: new Date(0) },
    { name: 'errors', label: 'a "quoted"\\\n', value: 9, updatedAt: at },
    { name: 'expired', label: 'lock', value: 10, updatedAt: at },
    { name: 'turns', label: 'answered', value: 11, updatedAt: at },
  ],
};

describe('the text for Prometheus', () => {
  it('has a help, a type and the samples of each family', () => {
    expect(toPrometheus(metrics).split('\n')).toEqual(
      expect.arrayContaining([
        '# HELP baton_active_locks Conversations that an agent holds.',
        '# TYPE baton_active_locks gauge',
        'baton_active_locks{agent="billing"} 3',
        '# TYPE baton_lock_age_seconds summary',
        'baton_lock_age_seconds{quantile="0.5"} 20',
        'baton_lock_age_seconds_sum 60.5',
        'baton_lock_age_seconds_count 3',
        'baton_sessions{state="expired"} 2',
        'baton_session_bytes{stat="largest"} 900',
        'baton_waiting_messages 5',
        'baton_failed_messages 6',
        'baton_replies{status="unknown"} 1',
        'baton_turns_total{outcome="answered"} 11',
        'baton_expired_total{kind="lock"} 10',
        'baton_cache_total{result="hit"} 8',
        'baton_cleanup_timestamp_seconds 1795233906.789',
      ]),
    );
  });

  it('escapes what stands in a label, and ends with a line break', () => {
    const text = toPrometheus(metrics);
    expect(text).toContain(String.raw`baton_errors_total{code="a \"quoted\"\\\n"} 9`);
    expect(text).toMatch(/[^\n]\n$/);
  });

  it('is of lines that the format allows', () => {
    const sample =
      /^baton_[a-z0-9_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"\})? (NaN|-?\d+(\.\d+)?(e[+-]\d+)?)$/;
    const comment = /^# (HELP baton_\w+ .+|TYPE baton_\w+ (counter|gauge|summary))$/;
    for (const line of toPrometheus(metrics).trimEnd().split('\n'))
      expect(line).toMatch(line.startsWith('#') ? comment : sample);
  });

  it('has every counter from the start, so that its first count has grown', () => {
    const lines = toPrometheus({ ...metrics, counters: [] }).split('\n');
    for (const name of Object.keys(LABELS))
      expect(lines.filter((line) => line.startsWith(`baton_${name}_total{`))).toHaveLength(
        LABELS[name as CounterName].length,
      );
    expect(lines).toEqual(
      expect.arrayContaining([
        'baton_errors_total{code="internal_error"} 0',
        'baton_cleanups_total{outcome="complete"} 0',
        'baton_cache_total{result="unreachable"} 0',
      ]),
    );
  });

  it('says NaN where there is nothing', () => {
    const lockAge = { count: 0, sum: 0, median: null, p95: null };
    const text = toPrometheus({ ...metrics, lockAge, counters: [] });
    expect(text).toContain('baton_lock_age_seconds{quantile="0.95"} NaN');
    expect(text).toContain('baton_cleanup_timestamp_seconds NaN');
  });
});
