import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { openCaller, VICTIM } from './caller.ts';
import { drain } from './drain.ts';
import { dumpSince, markOf } from './dump.ts';
import type { Call, Evidence } from './history.ts';
import type { Random } from './random.ts';
import { type Stage, work, type Worker } from './worker.ts';

const limits: StorageLimits = {
  history: 5,
  maxAttempts: 6,
  resendAfterMs: 150,
  sessionTtl: 3_600,
  completedTtl: 86_400,
  maxStateBytes: 1_048_576,
  retentionDays: 30,
};

/** Devices of a round: few enough for a crowd at each. */
const DEVICES = 24;
/** Milliseconds between two kills, on average. */
const KILL_EVERY = 40;

export interface RoundOptions {
  /** A migrated database on the machine's own clock; what else is in it does not matter. */
  url: string;
  random: Random;
  workers: number;
  /** Milliseconds in which the workers make new calls; then what waits is answered, which takes about as long again. */
  forMs: number;
  /** Ends that earlier. */
  signal?: AbortSignal | undefined;
}

export interface Round {
  evidence: Evidence;
  /** Backends terminated. */
  kills: number;
}

/** Plays one round on devices of its own, with backends terminated at random, and gathers the evidence. */
export async function playRound(options: RoundOptions): Promise<Round> {
  const { url, random, workers, forMs, signal } = options;
  const admin = new pg.Pool({ connectionString: url, max: 2, application_name: 'baton-killer' });
  const calls: Call[] = [];
  const devices = Array.from({ length: DEVICES }, () => randomUUID() as DeviceId);
  const stage: Stage = { devices, sent: [], seen: new Map() };
  const crew = Array.from({ length: workers }, (_, number): Worker => {
    const open = () => openCaller({ url, limits, calls, worker: number });
    const connections = { caller: open(), twin: open() };
    return { number, stage, random: random.fork(), ...connections, writes: 0 };
  });
  try {
    const mark = await markOf(admin);
    const clockOffset = Date.now() - performance.now();
    const over = AbortSignal.any([AbortSignal.timeout(forMs), ...(signal ? [signal] : [])]);
    const [kills] = await Promise.all([
      killAtRandom(admin, random.fork(), over),
      ...crew.map((worker) => work(worker, over)),
    ]);
    const drainedFrom = performance.now();
    await drain({ url, limits, calls, worker: workers, mortal: false }, admin, devices);
    const dump = await dumpSince(admin, mark, devices);
    return { evidence: { calls, dump, devices, clockOffset, drainedFrom }, kills };
  } finally {
    await Promise.all(crew.flatMap(({ caller, twin }) => [caller.close(), twin.close()]));
    await admin.end();
  }
}

/** Terminates a backend every few tens of milliseconds. @returns how many */
async function killAtRandom(admin: pg.Pool, random: Random, over: AbortSignal): Promise<number> {
  let kills = 0;
  while (!over.aborted) {
    await sleep(random.below(2 * KILL_EVERY));
    // one that is at work, if there is one: what is idle has nothing to lose
    const { rowCount } = await admin.query(
      `SELECT pg_terminate_backend(pid) FROM (
         SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
         ORDER BY (state = 'active') DESC, random() LIMIT 1) one`,
      [VICTIM],
    );
    kills += rowCount ?? 0;
  }
  return kills;
}
