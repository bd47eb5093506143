import { check } from './checks/check.ts';
import { grantsOf } from './checks/facts.ts';
import type { Evidence, Violation } from './history.ts';
import { seeded } from './random.ts';
import { playRound, type Round } from './round.ts';

export interface PlayOptions {
  /** A migrated database; what else is in it does not matter. */
  url: string;
  seed: number;
  workers: number;
  /** Milliseconds after which no new round begins. */
  forMs: number;
  /** Milliseconds in which the workers of a round make calls; then what waits is answered, and all of it checked. */
  roundMs: number;
  /** Ends the play after the round in which it says so; left out: after the first with a violation. */
  isEnough?: (violations: readonly Violation[]) => boolean;
  /** Ends the round under way, and with it the play. */
  signal?: AbortSignal | undefined;
  /** Called after each round. */
  onRound?: (counts: Counts) => void;
}

export type Counts = Record<(typeof COUNTED)[number], number>;

export interface Play {
  counts: Counts;
  /** Of the last round. */
  violations: Violation[];
  evidence: Evidence | null;
}

/** In the order in which they are told. */
const COUNTED = [
  'rounds',
  'kills',
  'calls',
  'broken statements',
  'unknown outcomes',
  'messages sent',
  'messages stored',
  'answered',
  'recorded under a person',
  'set aside',
  'grants',
  'commits',
  'commits refused',
  'lock operations',
  'locks that lapsed',
  'undecided',
  'violations',
] as const;

/** Plays rounds, each on devices of its own, and checks each before the next. */
export async function play(options: PlayOptions): Promise<Play> {
  const { url, seed, workers, forMs, roundMs, signal, onRound } = options;
  const { isEnough = (violations) => violations.length > 0 } = options;
  const random = seeded(seed);
  const counts = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
  const result: Play = { counts, violations: [], evidence: null };
  const end = performance.now() + forMs;
  const isOver = () => performance.now() >= end || signal?.aborted === true;
  while (!isOver() && !isEnough(result.violations)) {
    const round = await playRound({ url, random, workers, forMs: roundMs, signal });
    const findings = check(round.evidence);
    result.violations = findings.violations;
    result.evidence = round.evidence;
    count(counts, round);
    counts['lock operations'] += findings.lockOperations;
    counts['undecided'] += findings.undecided;
    counts['violations'] += findings.violations.length;
    onRound?.(counts);
  }
  return result;
}

function count(counts: Counts, { evidence: { calls, dump }, kills }: Round): void {
  const add = (name: keyof Counts, items: { length: number }) => (counts[name] += items.length);
  const questions = dump.messages.filter(({ role }) => role === 'user');
  const having = (status: string) => questions.filter((row) => row.status === status);
  const sent = calls.flatMap((call) => (call.kind === 'accept' ? call.args[0] : []));
  const commits = calls.flatMap((call) => (call.kind === 'commit' ? [call.result] : []));
  counts['rounds']++;
  counts['kills'] += kills;
  add('calls', calls);
  add(
    'broken statements',
    calls.flatMap(({ broken }) => broken),
  );
  add(
    'unknown outcomes',
    calls.filter(({ result }) => !result.known),
  );
  add('messages sent', sent);
  add('messages stored', questions);
  add('answered', having('answered'));
  add('recorded under a person', having('recorded'));
  add('set aside', having('failed'));
  counts['grants'] += new Set(grantsOf(calls).map(({ fence }) => fence)).size;
  add(
    'commits',
    commits.filter((result) => result.known && result.value.outcome === 'committed'),
  );
  add(
    'commits refused',
    commits.filter((result) => result.known && result.value.outcome !== 'committed'),
  );
  add(
    'locks that lapsed',
    dump.events.filter(({ reason }) => reason === 'expired'),
  );
}
