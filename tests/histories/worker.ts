import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  AcceptedDevice,
  Commit,
  CommitResult,
  Delivery,
  DeviceId,
  Guard,
  IncomingMessage,
  Lane,
  Lock,
  LockMove,
  OutgoingReply,
  Turn,
  TurnTerms,
  Version,
} from '../../lib/storage/storage.ts';
import { HUMAN } from '../../lib/storage/storage.ts';
import type { Caller } from './caller.ts';
import { agentOf, questionOf, replyTo, type Result } from './history.ts';
import type { Random } from './random.ts';

/** Milliseconds. Short enough for many to lapse in a round. */
const LEASE = 100;
/** Up to so many milliseconds a worker sleeps at its turn. */
const STALL = 250;

/** A message somebody has sent, or tried to. */
export interface Sent {
  device: DeviceId;
  externalId: string;
  lane: Lane;
}

/** What the workers of a round share. */
export interface Stage {
  devices: readonly DeviceId[];
  sent: Sent[];
  /** The versions of locks that anybody has seen, of each device. */
  seen: Map<DeviceId, Set<Version>>;
}

/** One client of the storage: sends, answers, stalls, lets fall, and meddles with locks. */
export interface Worker {
  number: number;
  stage: Stage;
  random: Random;
  /** Two connections, for what happens twice at once. */
  caller: Caller;
  twin: Caller;
  /** How often it has written into a state document. */
  writes: number;
}

/** Works until it is told to stop. */
export async function work(worker: Worker, signal: AbortSignal): Promise<void> {
  const { random } = worker;
  const chores = [
    ...Array.from({ length: 11 }, () => post),
    ...Array.from({ length: 3 }, () => lookAtLock),
    moveLock,
    moveLock,
    moveLock,
    recover,
    next,
    patchState,
    cleanUp,
  ];
  while (!signal.aborted) await random.pick(chores)(worker);
}

/** The first devices get most of it, so that there is a crowd at some and time to lapse at others. */
function someDevice({ stage: { devices }, random }: Worker): DeviceId {
  return random.pick(devices.slice(0, 1 + random.below(devices.length)));
}

export const termsOf = (lane: Lane, maxTurns: number, leaseMs = LEASE): TurnTerms => ({
  requestId: randomUUID(),
  lane,
  leaseMs,
  maxTurns,
});

async function post(worker: Worker): Promise<void> {
  const { random, stage, caller, twin } = worker;
  const lane: Lane = random.chance(0.25) ? 'external' : 'builtin';
  const known = stage.sent.slice(-200).filter((one) => one.lane === lane);
  const batch = Array.from({ length: 1 + random.below(4) }, () => {
    if (known.length > 0 && random.chance(0.3)) return random.pick(known);
    const fresh = { device: someDevice(worker), externalId: randomUUID(), lane };
    stage.sent.push(fresh);
    return fresh;
  });
  const messages = batch.map(messageOf);
  const maxTurns = 1 + random.below(4);
  const answers = random.chance(0.1)
    ? await Promise.all([
        caller.call('accept', messages, termsOf(lane, maxTurns)),
        twin.call('accept', messages, termsOf(lane, maxTurns)),
      ])
    : [await caller.call('accept', messages, termsOf(lane, maxTurns))];
  await answerAll(worker, answers.flatMap(turnsOf), lane);
}

function messageOf({ device, externalId, lane }: Sent): IncomingMessage {
  return {
    sender: { device },
    channel: lane === 'external' ? 'api' : 'web',
    account: device,
    externalId,
    content: questionOf(device, externalId),
    metadata: {},
    sentAt: null,
  };
}

function turnsOf(accepted: Result<AcceptedDevice[]>): Turn[] {
  return accepted.known ? accepted.value.flatMap(({ turn }) => turn ?? []) : [];
}

async function recover(worker: Worker): Promise<void> {
  const { lane, ...terms } = termsOf('builtin', 3);
  const found = await worker.caller.call('recover', terms);
  if (found.known) await answerAll(worker, found.value.turns, lane);
}

async function next(worker: Worker): Promise<void> {
  const lane: Lane = worker.random.chance(0.5) ? 'external' : 'builtin';
  const { devices } = worker.stage;
  const found = await worker.caller.call('next', [...devices], termsOf(lane, 2));
  if (found.known) await answerAll(worker, found.value.turns, lane);
}

/** One turn after the other: the last ones may have lapsed before their time comes. */
async function answerAll(worker: Worker, turns: Turn[], lane: Lane): Promise<void> {
  for (const first of turns) {
    for (let turn: Turn | null = first; turn !== null;) turn = await answer(worker, turn, lane);
  }
}

/** @returns the turn that follows, if this one was kept */
async function answer(worker: Worker, turn: Turn, lane: Lane): Promise<Turn | null> {
  const { random, caller } = worker;
  const { device, fence } = turn;
  remember(worker, device, turn.lock);
  const dice = random.below(100);
  if (dice < 6) return null; // let fall
  if (dice < 25) await sleep(random.below(STALL));
  else if (dice < 40) await caller.call('extend', device, fence, lane, LEASE);
  if (turn.replies.length > 0) return deliver(worker, turn, turn.replies);
  if (dice > 96) {
    await caller.call('giveBack', device, fence, lane);
    return null;
  }
  if (dice === 96 && random.chance(0.5)) {
    await caller.call('fail', device, fence, 'Scripted');
    return null;
  }
  const result = await commit(worker, turn, lane);
  if (!result.known || result.value.outcome !== 'committed') return null;
  const { deliver: isToDeliver, replies, turn: kept } = result.value;
  return isToDeliver ? deliver(worker, turn, replies) : kept;
}

async function commit(worker: Worker, turn: Turn, lane: Lane): Promise<Result<CommitResult>> {
  const { random, caller, twin } = worker;
  const { device, fence } = turn;
  const content: Commit = {
    replies: turn.messages.map(({ messageId }) => ({
      content: replyTo(device, messageId ?? ''),
      metadata: {},
      agent: null,
    })),
    deliver: lane === 'builtin' && random.chance(0.4),
    statePatch: patchOf(worker, device),
    lock: lockMove(worker, device),
    ...(random.chance(0.02) && { complete: true }),
  };
  const args = [device, fence, lane, content, LEASE] as const;
  if (!random.chance(0.1)) return caller.call('commit', ...args);
  const [first] = await Promise.all([caller.call('commit', ...args), twin.call('commit', ...args)]);
  return first;
}

const LOCK_MOVES = ['keep', 'renew', 'renew for', 'set', 'set', 'clear'] as const;

function lockMove({ random }: Worker, device: DeviceId): LockMove {
  if (random.chance(0.01)) return { do: 'set', agent: HUMAN, ttl: 1 };
  switch (random.pick(LOCK_MOVES)) {
    case 'keep':
      return { do: 'keep' };
    case 'renew':
      return { do: 'renew' };
    case 'renew for':
      return { do: 'renew', ttl: 1 + random.below(2) };
    case 'set':
      return { do: 'set', agent: agentOf(device, random.below(3)), ttl: 1 };
    case 'clear':
      return { do: 'clear' };
  }
}

/** "Sends" the replies and says what became of them; null also when it falls before. */
async function deliver(
  { random, caller }: Worker,
  { device, fence }: Turn,
  replies: OutgoingReply[],
): Promise<Turn | null> {
  const dice = random.below(100);
  if (dice < 10) return null;
  if (dice < 25) await sleep(random.below(STALL));
  const deliveries = replies.map(({ id }): Delivery => {
    const fate = random.below(20);
    if (fate === 0) return { id, status: 'pending', retryMs: 30 };
    if (fate === 1) return { id, status: 'unknown' };
    return fate === 2 ? { id, status: 'failed', error: 'Scripted' } : { id, status: 'sent' };
  });
  const settled = await caller.call('settle', device, fence, deliveries, LEASE);
  return settled.known ? (settled.value?.turn ?? null) : null;
}

/** Names the document's device and counts this worker's own writes, of which none may be lost. */
function patchOf(worker: Worker, device: DeviceId): { [key: string]: string | number } {
  worker.writes++;
  return { device, [`worker${worker.number}`]: worker.writes };
}

async function patchState(worker: Worker): Promise<void> {
  const device = someDevice(worker);
  await worker.caller.call('patchState', device, patchOf(worker, device), { kind: 'none' });
}

async function lookAtLock(worker: Worker): Promise<void> {
  const device = someDevice(worker);
  const looked = await worker.caller.call('getLock', device);
  if (looked.known) remember(worker, device, looked.value.lock);
}

function remember({ stage: { seen } }: Worker, device: DeviceId, lock: Lock | null): void {
  if (lock !== null) seen.set(device, (seen.get(device) ?? new Set()).add(lock.version));
}

async function moveLock(worker: Worker): Promise<void> {
  const { random, caller, stage } = worker;
  const device = someDevice(worker);
  const guard = guardOf(random, [...(stage.seen.get(device) ?? [])]);
  if (random.chance(0.3)) await caller.call('clearLock', device, guard);
  else {
    const agent = random.chance(0.12) ? HUMAN : agentOf(device, random.below(3));
    await caller.call('setLock', device, { agent, ttlSeconds: 1 + random.below(2) }, guard);
  }
}

/** Often one of the last that were seen, which is as likely as not another by now; where none was, any lock. */
function guardOf(random: Random, seen: Version[]): Guard {
  const dice = random.below(4);
  if (dice === 0) return { kind: 'none' };
  if (dice === 1) return { kind: 'absent' };
  const last = seen.slice(-2);
  return { kind: 'present', versions: last.length === 0 ? [] : [random.pick(last)] };
}

async function cleanUp({ caller }: Worker): Promise<void> {
  await caller.call('cleanUp', 20);
}
