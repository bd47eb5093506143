import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome, runAgents } from './agents/run.ts';
import type { Registry } from './agents/registry.ts';
import type { Channel } from './channels/channel.ts';
import type { Config } from './config.ts';
import { deliver, type Due, takeDue, untried } from './deliver.ts';
import { BatonError } from './errors.ts';
import { type Frame, hasTime } from './frame.ts';
import { keepLease, type Lease, leaseWithin, TurnEnded, whileHeld } from './lease.ts';
import { describeError, log } from './log.ts';
import { reporter } from './report.ts';
import { inSpan } from './spans.ts';
import type { RateLimiter } from './rate-limit.ts';
import type {
  AcceptedDevice,
  CommitResult,
  DeviceId,
  IncomingMessage,
  Storage,
  Turn,
} from './storage/storage.ts';

// The walk of a message, top to bottom: receive (ACCEPT) → work → answer (agents, COMMIT) → deliver (send, SETTLE; deliver.ts).

export interface TurnServices {
  storage: Storage;
  config: Config;
  registry: Registry;
  /** The channel replies have to be sent over; none for web and api, whose callers read theirs. */
  channelOf(name: string): Channel | null;
  /** Counts what callers send before it reaches the storage; null: the storage counts. */
  limiter?: RateLimiter | null;
}

export type Committed = Extract<CommitResult, { outcome: 'committed' }>;

/** Told how a turn goes, as it goes. */
export interface Watcher {
  /** A commit of this turn was taken, and nothing of it sent yet. */
  committed(commit: Committed, turn: Turn): void;
  /** The agents failed; there may be another try. */
  failed(): void;
  /** A reply could not be sent. */
  delayed?(due: Due): void;
}

const nobody: Watcher = { committed() {}, failed() {} };

/** A turn this worker has. */
export interface Held {
  turn: Turn;
  /** performance.now() before the call that took it: by the worker's own clock the lease began no earlier. */
  since: number;
}

/** Milliseconds to take a turn for. */
export const leaseFor = ({ turnLease }: Config, { endsAt }: Frame, burstMs = 0): number =>
  leaseWithin(turnLease * 1_000 + burstMs, endsAt);

/** Turns one call works on at a time: five hundred senders in one body must not mean five hundred lapsing leases. */
const PARALLEL_TURNS = 4;

/**
 * Stores what came in, once, and takes the turns that are free. From here on nothing of it can be lost.
 *
 * @param burstMs milliseconds that `workAll` waits before it begins: the leases last so much longer
 */
export async function receive(
  { storage, config }: TurnServices,
  messages: IncomingMessage[],
  frame: Frame,
  burstMs = 0,
): Promise<AcceptedDevice[]> {
  const terms = {
    requestId: frame.requestId,
    lane: 'builtin',
    leaseMs: leaseFor(config, frame, burstMs),
    maxTurns: PARALLEL_TURNS,
  } as const;
  const attributes = {
    'baton.channel': messages[0]?.channel,
    'baton.lane': terms.lane,
    'baton.messages': messages.length,
  };
  return inSpan('accept', attributes, () => storage.accept(messages, terms));
}

/**
 * Works on everything one ACCEPT brought: the turns it took, then, a few at a time, the devices that still wait.
 *
 * @param burstMs milliseconds to wait first, for what people send on the heels of a message. Turns are held
 *   meanwhile, or whoever sweeps would not wait, and then given back and taken anew, with all that has come in
 */
export async function workAll(
  services: TurnServices,
  accepted: AcceptedDevice[],
  frame: Frame,
  since: number,
  burstMs = 0,
): Promise<void> {
  const taken: Held[] = accepted.flatMap(({ turn }) => (turn === null ? [] : [{ turn, since }]));
  const waiting = accepted.filter((entry) => entry.waiting).map((entry) => entry.device);
  if (burstMs > 0 && taken.length > 0) {
    await sleep(burstMs);
    const held = taken.splice(0).map(({ turn }) => turn);
    await Promise.all(held.map((turn) => putDown(services, turn)));
    waiting.push(...held.map(({ device }) => device));
  }
  const due: Due[] = [];
  const watcher = { ...nobody, delayed: (one: Due) => void due.push(one) };
  const one = async (): Promise<void> => {
    for (;;) {
      const held =
        taken.pop() ??
        (await takeAny(services, waiting, frame)) ??
        // only when nothing else is left to do: a reply that waits must not keep others from being answered
        (await takeDue(due, (device) => takeTurn(services, device, frame), frame));
      if (held === null) return;
      await workOrLog(services, held, frame, watcher);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_TURNS }, one));
}

/** Work nobody waits for: a turn that breaks off must not take the others of the same call with it. */
export async function workOrLog(
  services: TurnServices,
  held: Held,
  frame: Frame,
  watcher: Watcher = nobody,
): Promise<void> {
  try {
    await work(services, held, frame, watcher);
  } catch (error) {
    log('error', 'turn_broke_off', { device_id: held.turn.device, ...describeError(error) });
  }
}

/** The next turn to be had among these devices; each is asked once, for where it is taken its worker goes on. */
async function takeAny(
  services: TurnServices,
  devices: DeviceId[],
  frame: Frame,
): Promise<Held | null> {
  while (hasTime(frame)) {
    const device = devices.pop();
    if (device === undefined) break;
    const held = await takeTurn(services, device, frame);
    if (held !== null) return held;
  }
  return null;
}

/** Takes a device's turn if it is free and something waits, or is due. */
export async function takeTurn(
  { storage, config }: TurnServices,
  device: DeviceId,
  frame: Frame,
): Promise<Held | null> {
  const since = performance.now();
  const { turns } = await storage.next([device], {
    requestId: crypto.randomUUID(),
    lane: 'builtin',
    leaseMs: leaseFor(config, frame),
    maxTurns: 1,
  });
  return turns[0] === undefined ? null : { turn: turns[0], since };
}

/**
 * Works on a turn until nothing waits: one COMMIT after the other, each keeping the turn if more came in.
 *
 * @throws {BatonError} `storage_unavailable`; the messages wait for whoever comes next
 */
export async function work(
  services: TurnServices,
  first: Held,
  frame: Frame,
  watcher: Watcher = nobody,
): Promise<void> {
  for (let held: Held | null = first; held !== null;) {
    const { turn, since }: Held = held;
    if (!hasTime(frame)) return putDown(services, turn);
    const leaseMs = services.config.turnLease * 1_000;
    const lease = keepLease(services.storage, turn, 'builtin', {
      leaseMs,
      since,
      endsAt: frame.endsAt,
    });
    try {
      held =
        turn.replies.length > 0
          ? await deliver(services, turn, turn.replies, lease, frame, watcher)
          : await answer(services, turn, lease, frame, watcher);
    } finally {
      lease.stop();
    }
  }
}

/** No time is left to begin: messages go back, and of replies nobody needs to wonder whether they are out. */
async function putDown({ storage }: TurnServices, turn: Turn): Promise<void> {
  if (turn.replies.length === 0) await storage.giveBack(turn.device, turn.fence, 'builtin');
  else await storage.settle(turn.device, turn.fence, turn.replies.map(untried), 0);
}

/** Lets the agents answer and commits what they did. Gives the turn that goes on, if one does. */
async function answer(
  services: TurnServices,
  turn: Turn,
  lease: Lease,
  frame: Frame,
  watcher: Watcher,
): Promise<Held | null> {
  const report = reporter(turn);
  const channel = services.channelOf(turn.channel);
  const leave = channel?.attend(turn);
  let outcome: Outcome;
  try {
    outcome = await runAgents(
      turn,
      services.registry,
      services.config.defaultSessionTtl,
      lease.signal,
      channel,
    ).finally(leave);
  } catch (error) {
    if (error instanceof TurnEnded && error.reason === 'turn_lost') {
      report('turn_lost', turn.lock?.agent ?? null);
      return null;
    }
    report('agent_failed', turn.lock?.agent ?? null, describeError(error));
    watcher.failed();
    return retryLater(services, turn, error, frame);
  }

  let since = 0;
  const tryCommit = () => {
    since = performance.now();
    return commitOutcome(services, turn, outcome, channel !== null, lease);
  };
  // who waits for the answer in the response is better told at once, and asks again
  const committing = channel === null ? tryCommit() : whileHeld(lease, tryCommit);
  const commit = await committing.catch((error: unknown) => {
    if (error instanceof BatonError && error.code === 'state_too_large') return error;
    throw error;
  });
  if (commit instanceof BatonError) {
    report('state_too_large', outcome.agent);
    watcher.failed();
    return retryLater(services, turn, commit, frame);
  }
  if (commit.outcome !== 'committed') {
    report('turn_lost', outcome.agent);
    return null;
  }
  lease.renewed(since);
  report('answered', outcome.agent, { replies: commit.replies.length });
  watcher.committed(commit, turn);
  if (commit.deliver) return deliver(services, turn, commit.replies, lease, frame, watcher);
  return commit.turn === null ? null : { turn: commit.turn, since };
}

function commitOutcome(
  { storage }: TurnServices,
  turn: Turn,
  { replies, statePatch, lock }: Outcome,
  toBeSent: boolean,
  lease: Lease,
): Promise<CommitResult> {
  const content = { replies, deliver: toBeSent, lock, ...(statePatch !== null && { statePatch }) };
  const attributes = { 'baton.device_id': turn.device, 'baton.replies': replies.length };
  return inSpan('commit', attributes, async (span) => {
    const length = lease.length();
    const result = await storage.commit(turn.device, turn.fence, 'builtin', content, length);
    span.setAttribute('baton.outcome', result.outcome);
    return result;
  });
}

/** Counts the failure, and tries again in this very call if there is time; else the sweep does. */
async function retryLater(
  services: TurnServices,
  turn: Turn,
  error: unknown,
  frame: Frame,
): Promise<Held | null> {
  const name = error instanceof Error ? error.name : 'error';
  const failed = await services.storage.fail(turn.device, turn.fence, name);
  if (failed === null) return null;
  // set aside: what came in behind it is next
  if (failed.retryAt === null) return takeTurn(services, turn.device, frame);
  const wait = failed.retryAt.getTime() - failed.now.getTime();
  if (!hasTime(frame, wait)) return null;
  await sleep(wait);
  return takeTurn(services, turn.device, frame);
}
