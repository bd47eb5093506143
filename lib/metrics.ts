import { LABELS } from './counters.ts';
import type { Counter, CounterName, Metrics } from './storage/storage.ts';

// The figures as Prometheus reads them (text format 0.0.4):
// https://prometheus.io/docs/instrumenting/exposition_formats/

export const MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Sample {
  /** What follows the family's name. */
  suffix?: string;
  labels?: Readonly<Record<string, string>>;
  value: number | null;
}

interface Family {
  type: 'counter' | 'gauge' | 'summary';
  help: string;
  samples: (metrics: Metrics) => Sample[];
}

/** A counter of counters.ts, with the name that its label has here: what was never counted stands at 0. */
const added = (name: CounterName, label: string) => ({
  type: 'counter' as const,
  samples: ({ counters }: Metrics) => {
    const values = new Map<string, number>(LABELS[name].map((known) => [known, 0]));
    for (const one of counters) if (one.name === name) values.set(one.label, one.value);
    return [...values].map(([value, total]) => ({ labels: { [label]: value }, value: total }));
  },
});

const one = (pick: (metrics: Metrics) => number | null) => (metrics: Metrics) => [
  { value: pick(metrics) },
];

const seconds = (time: Date) => time.getTime() / 1_000;
const latest = (counters: Counter[]) =>
  counters.length === 0 ? null : Math.max(...counters.map(({ updatedAt }) => seconds(updatedAt)));

/** Every family, by its name. */
const families: Readonly<Record<`baton_${string}`, Family>> = {
  baton_active_locks: {
    type: 'gauge',
    help: 'Conversations that an agent holds.',
    samples: ({ locks }) =>
      locks.map(({ agent, active }) => ({ labels: { agent }, value: active })),
  },
  baton_lock_age_seconds: {
    type: 'summary',
    help: 'For how long the live locks have been held.',
    samples: ({ lockAge }) => [
      { labels: { quantile: '0.5' }, value: lockAge.median },
      { labels: { quantile: '0.95' }, value: lockAge.p95 },
      { suffix: '_sum', value: lockAge.sum },
      { suffix: '_count', value: lockAge.count },
    ],
  },
  baton_sessions: {
    type: 'gauge',
    help: 'Chat sessions that are kept: active and complete ones are alive, expired ones wait for the clean-up.',
    samples: ({ sessions }) =>
      (['active', 'complete', 'expired'] as const).map((state) => ({
        labels: { state },
        value: sessions[state],
      })),
  },
  baton_session_bytes: {
    type: 'gauge',
    help: 'Text in the histories of the chat sessions that are kept.',
    samples: ({ sessions }) => [
      { labels: { stat: 'average' }, value: sessions.averageBytes },
      { labels: { stat: 'largest' }, value: sessions.largestBytes },
    ],
  },
  baton_large_sessions: {
    type: 'gauge',
    help: 'Chat sessions with more than a mebibyte of text.',
    samples: one(({ sessions }) => sessions.over1mb),
  },
  baton_waiting_messages: {
    type: 'gauge',
    help: 'Messages that wait for an answer.',
    samples: one(({ waiting }) => waiting),
  },
  baton_failed_messages: {
    type: 'gauge',
    help: 'Messages that were set aside, their turns having failed too often.',
    samples: one(({ failed }) => failed),
  },
  baton_replies: {
    type: 'gauge',
    help: 'Replies: of pending, sending and unknown ones all, of the others those of the last day.',
    samples: ({ replies }) =>
      Object.entries(replies).map(([status, value]) => ({ labels: { status }, value })),
  },
  baton_turns_total: { ...added('turns', 'outcome'), help: 'Turns, by what became of them.' },
  baton_expired_total: { ...added('expired', 'kind'), help: 'What the clean-up has taken away.' },
  baton_cleanups_total: {
    ...added('cleanups', 'outcome'),
    help: 'Runs of the clean-up; partial: its time was up before everything was done.',
  },
  baton_cleanup_timestamp_seconds: {
    type: 'gauge',
    help: 'When the clean-up last ran.',
    samples: one(({ counters }) => latest(counters.filter(({ name }) => name === 'cleanups'))),
  },
  baton_errors_total: { ...added('errors', 'code'), help: 'Refusals and errors, by their code.' },
  baton_cache_total: { ...added('cache', 'result'), help: 'Reads of the cache, by their result.' },
};

/** The whole answer. */
export function toPrometheus(metrics: Metrics): string {
  const lines = Object.entries<Family>(families).flatMap(([name, { type, help, samples }]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples(metrics).map(
      ({ suffix = '', labels = {}, value }) =>
        `${name}${suffix}${braces(labels)} ${value === null ? 'NaN' : value}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}

function braces(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escape = (value: string) =>
  value.replaceAll(/["\\\n]/g, (mark) => (mark === '\n' ? '\\n' : `\\${mark}`));
