import type { DeviceId, Fence } from '../../../lib/storage/storage.ts';
import { type Call, type Evidence, readAnswer, type Violation } from '../history.ts';
import {
  type Grant,
  grantsOf,
  isPlain,
  repeatedCommits,
  spanOf,
  turnsByDevice,
  violation,
} from './facts.ts';

/** Every fence names one turn and is higher than all before it; only the newest may write; the history is in their order. */
export function checkFences(evidence: Evidence): Violation[] {
  return [
    ...sharedFences(evidence),
    ...fallingFences(evidence),
    ...lateWrites(evidence),
    ...rowsOutOfOrder(evidence),
    ...rowsOfNobody(evidence),
  ];
}

function sharedFences({ calls }: Evidence): Violation[] {
  const first = new Map<number, Grant>();
  return grantsOf(calls).flatMap((grant) => {
    const { fence, device, owner, call } = grant;
    const other = first.get(fence);
    if (other === undefined) first.set(fence, grant);
    if (other === undefined || (other.owner === owner && other.device === device)) return [];
    return [violation('fence', device, `two turns have the fence ${fence}`, other.call, call)];
  });
}

function fallingFences({ calls }: Evidence): Violation[] {
  return [...turnsByDevice(calls)].flatMap(([device, turns]) =>
    turns.flatMap((turn, index) => {
      const lower = turns[index - 1];
      if (lower === undefined || lower.at <= turn.at) return [];
      const what = `the fence ${lower.fence} was given after ${turn.fence}`;
      return [violation('fence', device, what, turn.call, lower.call)];
    }),
  );
}

interface Write {
  call: Call;
  device: DeviceId;
  fence: Fence;
  /** Database time, the earliest it can have been. */
  at: number;
}

/** Writes that were taken, for sure by themselves and not because an earlier one was. */
function writesOf(evidence: Evidence): Write[] {
  const isRepeated = repeatedCommits(evidence.calls);
  return evidence.calls.filter(isPlain).flatMap((call) => {
    const write = (device: DeviceId, fence: Fence, now: Date | undefined): Write[] =>
      now === undefined ? [] : [{ call, device, fence, at: now.getTime() }];
    return readAnswer<Write>(call, {
      commit: ({ outcome, now }, [device, fence]) =>
        outcome !== 'committed' || isRepeated(device, fence) ? [] : write(device, fence, now),
      // a commit that is repeated goes on with another turn, and a settlement that comes after it with the same
      settle: (settled, [device, fence]) =>
        isRepeated(device, fence) ? [] : write(device, fence, settled?.now),
      extend: (extended, [device, fence]) => write(device, fence, extended?.now),
      fail: (failed, [device, fence]) => write(device, fence, failed?.now),
      giveBack(isGiven, [device, fence]) {
        const at = spanOf(evidence, call.invoked, call.responded).from;
        return isGiven ? [{ call, device, fence, at }] : [];
      },
    });
  });
}

function lateWrites(evidence: Evidence): Violation[] {
  const turns = turnsByDevice(evidence.calls);
  return writesOf(evidence).flatMap(({ call, device, fence, at }) => {
    const newer = turns.get(device)?.find((turn) => turn.fence > Number(fence) && turn.at < at);
    if (newer === undefined) return [];
    const what = `${call.kind} with the fence ${fence} was taken after ${newer.fence} was given`;
    return [violation('fence', device, what, newer.call, call)];
  });
}

function rowsOutOfOrder({ dump }: Evidence): Violation[] {
  const newest = new Map<DeviceId, number>();
  return dump.messages.flatMap(({ device, seq, fence }) => {
    if (seq === null || fence === null) return [];
    const before = newest.get(device) ?? 0;
    newest.set(device, Math.max(before, Number(fence)));
    if (Number(fence) >= before) return [];
    return [violation('fence', device, `row ${seq} of ${fence} comes after rows of ${before}`)];
  });
}

/** A write that was refused has written nothing. */
function rowsOfNobody({ calls, dump }: Evidence): Violation[] {
  const committing = new Set<string>();
  for (const call of calls) {
    if (call.kind !== 'commit') continue;
    const isRefused = call.result.known && call.result.value.outcome !== 'committed';
    if (!isRefused || call.broken.length > 0) committing.add(`${call.args[0]} ${call.args[1]}`);
  }
  return dump.messages.flatMap(({ device, fence, seq }) =>
    fence === null || committing.has(`${device} ${fence}`)
      ? []
      : [
          violation(
            'fence',
            device,
            `row ${seq} has the fence ${fence}, whose writes were refused`,
          ),
        ],
  );
}
