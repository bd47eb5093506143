import type { DeviceId, Lock } from '../../../lib/storage/storage.ts';
import { type Call, type Evidence, readAnswer, readCall, type Violation } from '../history.ts';
import { grantsOf, type Span, spanOf, violation } from './facts.ts';
import { checkLinearizability, type Interval } from './linearizability.ts';
import { type LockOp, lockModel, type SeenLock } from './lock-model.ts';

type Content = LockOp extends infer Op
  ? Op extends LockOp
    ? Omit<Op, 'id' | 'at'>
    : never
  : never;

/** What a call did to, or saw of, one device's lock. */
interface Part {
  device: DeviceId;
  content: Content;
  /** Database time, where the answer tells it. */
  now?: Date;
}

interface LockFindings {
  violations: Violation[];
  /** Operations whose order was looked for. */
  operations: number;
  /** Devices with more possibilities than are looked through. */
  undecided: number;
}

/** Every answer about a lock fits one order of the operations on it, and none shows a lock past its end. */
export function checkLocks(evidence: Evidence): LockFindings {
  const found: LockFindings = { violations: expiredLocks(evidence), operations: 0, undecided: 0 };
  const calls = new Map<number, Call>();
  const histories = new Map<DeviceId, Interval<LockOp>[]>(evidence.devices.map((one) => [one, []]));
  const shown = new Set(grantsOf(evidence.calls).map(({ device, owner }) => `${device} ${owner}`));
  let id = 0;
  for (const call of evidence.calls) {
    for (const { device, ...interval } of intervalsOf(evidence, call, shown)) {
      calls.set(++id, call);
      histories.get(device)?.push({ ...interval, op: { ...interval.op, id } });
    }
  }
  for (const [device, history] of histories) {
    found.operations += history.length;
    const verdict = checkLinearizability(history, lockModel);
    if (verdict.kind === 'undecided') found.undecided++;
    if (verdict.kind !== 'violated') continue;
    const call = calls.get(verdict.at.id);
    const what = 'no order of the operations on the lock explains this answer';
    found.violations.push(violation('lock', device, what, ...(call === undefined ? [] : [call])));
  }
  return found;
}

/** An answer tells when it looked; what it shows must end later. */
function expiredLocks({ calls }: Evidence): Violation[] {
  const shown = [
    ...grantsOf(calls).map(({ call, device, at, turn }) => ({ call, device, lock: turn.lock, at })),
    ...calls.flatMap((call) =>
      locksIn(call).map(({ device, lock, now }) => ({ call, device, lock, at: now.getTime() })),
    ),
  ];
  return shown
    .filter(({ lock, at }) => lock !== null && lock.expiresAt.getTime() <= at)
    .map(({ call, device }) => violation('lock', device, 'a lock is shown past its end', call));
}

interface Shown {
  device: DeviceId;
  lock: Lock | null;
  now: Date;
}

function locksIn(call: Call): Shown[] {
  return readAnswer<Shown>(call, {
    accept: (devices) => devices,
    getLock: (shown, [device]) => [{ device, ...shown }],
    setLock: (result, [device]) => (result.written ? [{ device, ...result }] : []),
    commit: (result, [device]) => (result.outcome === 'committed' ? [{ device, ...result }] : []),
  });
}

/** The call's answer, and each of its tries that broke: that one may have happened too. */
function intervalsOf(
  evidence: Evidence,
  call: Call,
  shown: ReadonlySet<string>,
): (Interval<LockOp> & { device: DeviceId })[] {
  const answered = partsOf(call).map(({ device, content, now }) => {
    const from = call.broken.at(-1)?.to ?? call.invoked;
    const at = now === undefined ? spanOf(evidence, from, call.responded) : moment(now);
    return { device, from, to: call.responded, optional: false, op: { ...content, id: 0, at } };
  });
  const unanswered = call.broken.flatMap(({ from, to }) =>
    effectsOf(evidence, call)
      // of a turn that nobody is ever told of, nobody can show that it was given
      .filter(
        ({ device, content }) => content.kind !== 'take' || shown.has(`${device} ${content.owner}`),
      )
      .map(({ device, content }) => {
        const op = { ...content, id: 0, at: spanOf(evidence, from, to) };
        return { device, from, to, optional: true, op };
      }),
  );
  return [...unanswered, ...answered];
}

const moment = (now: Date): Span => ({ from: now.getTime(), to: now.getTime() });

/** What the answer tells. */
function partsOf(call: Call): Part[] {
  const turns = (): Part[] =>
    grantsOf([call]).map(({ device, owner, turn: { fence, lock } }) => ({
      device,
      content: { kind: 'look', lock: seen(lock), turn: { fence, owner } },
    }));
  return readAnswer<Part>(call, {
    getLock: ({ lock, now }, [device]) => [
      { device, content: { kind: 'look', lock: seen(lock), turn: null }, now },
    ],
    setLock(result, [device, { agent, ttlSeconds: ttl }, guard]) {
      if (!result.written) return [{ device, content: { kind: 'refused', guard } }];
      const content = { kind: 'set', agent, ttl, guard, lock: seen(result.lock) } as const;
      return [{ device, content, now: result.now }];
    },
    clearLock: (result, [device, guard]) =>
      result.written
        ? [{ device, content: { kind: 'clear', guard }, now: result.now }]
        : [{ device, content: { kind: 'refused', guard } }],
    accept: (devices, [, { requestId: owner }]) =>
      devices.map(({ device, lock, turn, now }) => {
        const taken = turn === null ? null : { fence: turn.fence, owner };
        return { device, content: { kind: 'look', lock: seen(lock), turn: taken }, now };
      }),
    commit(result, [device, fence, , { lock: move }]) {
      if (result.outcome !== 'committed') return [];
      const { lock, turn, now } = result;
      const kept = turn && { fence: turn.fence, owner: `after:${fence}` };
      const after = { lock: seen(lock), turn: kept };
      return [{ device, content: { kind: 'commit', fence, move, seen: after }, now }];
    },
    next: turns,
    recover: turns,
    settle: turns,
  });
}

/** What a try without an answer may have done. */
function effectsOf({ devices }: Evidence, call: Call): Part[] {
  const take = (device: DeviceId, owner: string): Part => ({
    device,
    content: { kind: 'take', owner },
  });
  return readCall<Part>(call, {
    setLock({ args: [device, { agent, ttlSeconds: ttl }, guard] }) {
      return [{ device, content: { kind: 'set', agent, ttl, guard, lock: null } }];
    },
    clearLock: ({ args: [device, guard] }) => [{ device, content: { kind: 'clear', guard } }],
    commit({ args: [device, fence, , { lock: move }] }) {
      const committed: Part = { device, content: { kind: 'commit', fence, move, seen: null } };
      return [committed, take(device, `after:${fence}`)];
    },
    accept({ args: [messages, { requestId }] }) {
      const senders = messages.flatMap(({ sender }) => ('device' in sender ? sender.device : []));
      return [...new Set(senders)].map((device) => take(device, requestId));
    },
    next: ({ args: [asked, { requestId }] }) => asked.map((device) => take(device, requestId)),
    recover: ({ args: [{ requestId }] }) => devices.map((device) => take(device, requestId)),
    settle: ({ args: [device, fence] }) => [take(device, `after:${fence}`)],
  });
}

function seen(lock: Lock): SeenLock;
function seen(lock: Lock | null): SeenLock | null;
function seen(lock: Lock | null): SeenLock | null {
  if (lock === null) return null;
  const { agent, sessionTtl: ttl, version } = lock;
  return { agent, expiresAt: lock.expiresAt.getTime(), ttl, version };
}
