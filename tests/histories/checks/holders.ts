import { type DeviceId, type Fence, HUMAN } from '../../../lib/storage/storage.ts';
import { type Call, type Evidence, readAnswer, readCall, type Violation } from '../history.ts';
import {
  type Grant,
  isPlain,
  repeatedCommits,
  type Span,
  spanOf,
  turnsByDevice,
  violation,
} from './facts.ts';

/** A stretch in which the device was surely this turn's, or, after it failed, surely nobody's. */
interface Hold extends Span {
  device: DeviceId;
  fence: number;
  call: Call;
  /** Nobody's, until the next try. */
  isRest: boolean;
}

/** When a turn may have ended before its lease. */
interface End extends Span {
  device: DeviceId;
  /** null: whosever it was. */
  fence: number | null;
}

/** By the database's clock no two hold a device's turn at once; and under a person nobody gets messages to answer. */
export function checkHolders(evidence: Evidence): Violation[] {
  const holds = Map.groupBy(holdsOf(evidence), ({ device }) => device);
  return [
    ...[...holds].flatMap(([device, list]) => overlaps(device, list)),
    ...[...turnsByDevice(evidence.calls).values()].flat().filter(isUnderHuman).map(underHuman),
  ];
}

const isUnderHuman = ({ turn }: Grant): boolean =>
  turn.messages.length > 0 && turn.lock?.agent === HUMAN;

const underHuman = ({ device, call }: Grant): Violation =>
  violation(
    'human',
    device,
    'messages are handed over while a person holds the conversation',
    call,
  );

function overlaps(device: DeviceId, holds: Hold[]): Violation[] {
  let last: Hold | undefined;
  return holds
    .toSorted((a, b) => a.from - b.from)
    .flatMap((hold) => {
      const other = last;
      if (other === undefined || hold.to > other.to) last = hold;
      if (other === undefined || other.fence === hold.fence || hold.from >= other.to) return [];
      const early = Math.round(other.to - hold.from);
      const what = `${hold.fence} has the turn ${early} ms before ${other.fence} lost it`;
      return [violation('holder', device, what, other.call, hold.call)];
    });
}

function holdsOf(evidence: Evidence): Hold[] {
  const { calls, drainedFrom, clockOffset } = evidence;
  const isRepeated = repeatedCommits(calls);
  const granted = [...turnsByDevice(calls).values()].flat().map(holdOf);
  const prolonged = calls.filter(isPlain).flatMap((call) => prolongedBy(call, isRepeated));
  const ends = Map.groupBy(
    calls.flatMap((call) => endsOf(evidence, call)),
    ({ device }) => device,
  );
  // from then on rows were moved in time
  const drained = drainedFrom + clockOffset;
  return [...granted, ...prolonged]
    .map((hold) => {
      const cuts = (ends.get(hold.device) ?? []).filter((end) => mayEnd(end, hold));
      return { ...hold, to: Math.min(hold.to, drained, ...cuts.map(({ from }) => from)) };
    })
    .filter(({ from, to }) => from < to);
}

const holdOf = ({ device, fence, at, turn, call }: Grant): Hold => {
  const span = { from: at, to: turn.expiresAt.getTime() };
  return { device, fence, call, ...span, isRest: false };
};

const mayEnd = ({ fence, to }: End, hold: Hold): boolean =>
  to >= hold.from && (fence === null || (fence === hold.fence && !hold.isRest));

/** What surely lengthens a turn: its holder's calls, the time to send; and the time in which a failed one rests. */
function prolongedBy(call: Call, isRepeated: ReturnType<typeof repeatedCommits>): Hold[] {
  const hold = (device: DeviceId, fence: Fence, from: Date, to: number, isRest = false): Hold[] => [
    { device, fence: Number(fence), call, from: from.getTime(), to, isRest },
  ];
  return readAnswer<Hold>(call, {
    extend: (extended, [device, fence]) =>
      extended === null ? [] : hold(device, fence, extended.now, extended.expiresAt.getTime()),
    fail: (failed, [device, fence]) =>
      failed?.retryAt == null
        ? []
        : hold(device, fence, failed.now, failed.retryAt.getTime(), true),
    commit(result, [device, fence, , , leaseMs]) {
      // of two commits only the first has started the time to send
      if (result.outcome !== 'committed' || !result.deliver || isRepeated(device, fence)) return [];
      return hold(device, fence, result.now, result.now.getTime() + leaseMs);
    },
  });
}

function endsOf(evidence: Evidence, call: Call): End[] {
  const last = Math.max(call.responded, ...call.broken.map(({ to }) => to));
  const window = spanOf(evidence, call.invoked, last);
  const end = (device: DeviceId, fence: Fence | null, now: Date | undefined): End[] => {
    const span = now === undefined ? window : { from: now.getTime(), to: now.getTime() };
    return [{ device, fence: fence === null ? null : Number(fence), ...span }];
  };
  const isOnce = isPlain(call);
  return readCall<End>(call, {
    commit({ args: [device, fence], result }) {
      const isKept = result.known && result.value.outcome === 'committed' && result.value.deliver;
      const isLost = isOnce && result.known && result.value.outcome !== 'committed';
      // of two commits only the first has released it: when, this answer need not tell
      return isKept || isLost ? [] : end(device, fence, undefined);
    },
    settle({ args: [device, fence], result }) {
      if (!isOnce || !result.known) return end(device, fence, undefined);
      return result.value === null ? [] : end(device, fence, result.value.now);
    },
    fail({ args: [device, fence], result }) {
      if (!isOnce || !result.known) return end(device, fence, undefined);
      return result.value === null ? [] : end(device, fence, result.value.now);
    },
    giveBack({ args: [device, fence], result }) {
      const isLost = isOnce && result.known && !result.value;
      return isLost ? [] : end(device, fence, undefined);
    },
    setLock({ args: [device, { agent }], result }) {
      if (agent !== HUMAN) return [];
      if (!isOnce || !result.known) return end(device, null, undefined);
      return result.value.written ? end(device, null, result.value.now) : [];
    },
  });
}
