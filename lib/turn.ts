import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome, runAgents } from './agents/run.ts';
import type { Registry } from './agents/registry.ts';
import type { Channel } from './channels/channel.ts';
import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import { keepLease, type Lease, TurnEnded } from './lease.ts';
import { describeError, log } from './log.ts';
import type {
  AcceptedDevice,
  CommitResult,
  Delivery,
  DeviceId,
  IncomingMessage,
  OutgoingReply,
  Storage,
  Turn,
} from './storage/storage.ts';

// The walk of a message, top to bottom: receive (ACCEPT) → work → answer (agents, COMMIT) → deliver (send, SETTLE).

export interface TurnServices {
  storage: Storage;
  config: Config;
  registry: Registry;
  /** The channel replies have to be sent over; none for web and api, whose callers read theirs. */
  channelOf(name: string): Channel | null;
}

/** The frame of one function call. */
export interface Frame {
  /** Names the call; a repeated ACCEPT gets its turns back by it. */
  requestId: string;
  /** performance.now() at which its work must be over. */
  endsAt: number;
}

export type Committed = Extract<CommitResult, { outcome: 'committed' }>;

/** Told how a turn goes, as it goes. */
export interface Watcher {
  /** A commit was taken, and nothing of it sent yet. */
  committed(commit: Committed): void;
  /** The agents failed; there may be another try. */
  failed(): void;
}

const nobody: Watcher = { committed() {}, failed() {} };

/** A turn this worker has. */
export interface Held {
  turn: Turn;
  /** performance.now() before the call that took it: by the worker's own clock the lease began no earlier. */
  since: number;
}

/** Turns one call works on at a time: five hundred senders in one body must not mean five hundred lapsing leases. */
const PARALLEL_TURNS = 4;
/** Milliseconds a function must have left to begin on another turn. */
const ENOUGH = 5_000;

/** Stores what came in, once, and takes the turns that are free. From here on nothing of it can be lost. */
export async function receive(
  { storage, config }: TurnServices,
  messages: IncomingMessage[],
  frame: Frame,
): Promise<AcceptedDevice[]> {
  return storage.accept(messages, {
    requestId: frame.requestId,
    lane: 'builtin',
    leaseMs: config.turnLease * 1_000,
    maxTurns: PARALLEL_TURNS,
  });
}

/** Works on everything one ACCEPT brought: the turns it took, then, a few at a time, the devices that still wait. */
export async function workAll(
  services: TurnServices,
  accepted: AcceptedDevice[],
  frame: Frame,
  since: number,
): Promise<void> {
  const taken: Held[] = accepted.flatMap(({ turn }) => (turn === null ? [] : [{ turn, since }]));
  const waiting = accepted.filter((entry) => entry.waiting).map((entry) => entry.device);
  const one = async (): Promise<void> => {
    for (;;) {
      const held = taken.pop() ?? (await takeAny(services, waiting, frame));
      if (held === null) return;
      await workOrLog(services, held, frame);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_TURNS }, one));
}

/** Work nobody waits for: a turn that breaks off must not take the others of the same call with it. */
export async function workOrLog(services: TurnServices, held: Held, frame: Frame): Promise<void> {
  try {
    await work(services, held, frame);
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
    const held = await takeTurn(services, device);
    if (held !== null) return held;
  }
  return null;
}

/** Takes a device's turn if it is free and something waits. */
export async function takeTurn(
  { storage, config }: TurnServices,
  device: DeviceId,
): Promise<Held | null> {
  const since = performance.now();
  const { turns } = await storage.next([device], {
    requestId: crypto.randomUUID(),
    lane: 'builtin',
    leaseMs: config.turnLease * 1_000,
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
          ? await deliver(services, turn, turn.replies, lease, frame)
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

const untried = ({ id }: OutgoingReply): Delivery => ({ id, status: 'pending', untried: true });

/** Lets the agents answer and commits what they did. Gives the turn that goes on, if one does. */
async function answer(
  services: TurnServices,
  turn: Turn,
  lease: Lease,
  frame: Frame,
  watcher: Watcher,
): Promise<Held | null> {
  const started = performance.now();
  const report = (outcome: string, agent: string | null, more: Record<string, unknown> = {}) =>
    log(outcome === 'answered' ? 'info' : 'warn', 'turn', {
      channel: turn.channel,
      device_id: turn.device,
      agent,
      outcome,
      messages: turn.messages.length,
      duration_ms: Math.round(performance.now() - started),
      ...more,
    });

  let outcome: Outcome;
  try {
    outcome = await runAgents(
      turn,
      services.registry,
      services.config.defaultSessionTtl,
      lease.signal,
    );
  } catch (error) {
    if (error instanceof TurnEnded && error.reason === 'turn_lost') {
      report('turn_lost', turn.lock?.agent ?? null);
      return null;
    }
    report('agent_failed', turn.lock?.agent ?? null, describeError(error));
    watcher.failed();
    return retryLater(services, turn, error, frame);
  }

  const since = performance.now();
  const channel = services.channelOf(turn.channel);
  const commit = await commitOutcome(services, turn, outcome, channel !== null, lease).catch(
    (error: unknown) => {
      if (error instanceof BatonError && error.code === 'state_too_large') return error;
      throw error;
    },
  );
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
  watcher.committed(commit);
  if (commit.deliver) return deliver(services, turn, commit.replies, lease, frame);
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
  return storage.commit(turn.device, turn.fence, 'builtin', content, lease.length());
}

/** Sends the replies in their order, notes what became of them, and ends the turn. */
async function deliver(
  { storage, channelOf }: TurnServices,
  turn: Turn,
  replies: OutgoingReply[],
  lease: Lease,
  frame: Frame,
): Promise<Held | null> {
  const channel = channelOf(turn.channel);
  const deliveries: Delivery[] = [];
  for (const reply of replies) {
    // past the lease somebody else may be sending: what is left unsaid here becomes `unknown` there
    if (channel === null || !lease.holds()) break;
    const delivery = await channel.send(reply, turn, lease.signal);
    deliveries.push(delivery);
    // the next one must not overtake it
    if (delivery.status === 'pending' || delivery.status === 'unknown') break;
  }
  const since = performance.now();
  const settled = await storage.settle(
    turn.device,
    turn.fence,
    [...deliveries, ...replies.slice(deliveries.length).map(untried)],
    hasTime(frame) ? lease.length() : 0,
  );
  if (settled === null) log('warn', 'settle_too_late', { device_id: turn.device });
  return settled?.turn == null ? null : { turn: settled.turn, since };
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
  if (failed.retryAt === null) return takeTurn(services, turn.device);
  const wait = failed.retryAt.getTime() - failed.now.getTime();
  if (frame.endsAt - performance.now() < wait + ENOUGH) return null;
  await sleep(wait);
  return takeTurn(services, turn.device);
}

/** Whether it is worth beginning on another turn. */
export function hasTime(frame: Frame): boolean {
  return frame.endsAt - performance.now() > ENOUGH;
}
