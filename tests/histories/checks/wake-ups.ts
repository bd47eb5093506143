import type { DeviceId, Lane } from '../../../lib/storage/storage.ts';
import { type Call, type Evidence, readAnswer, type Violation } from '../history.ts';
import { isPlain, repeatedCommits, turnsByDevice, violation } from './facts.ts';

/** A message that waited for sure from here, by the database's clock, until a turn took it. */
interface Wait {
  device: DeviceId;
  lane: Lane;
  id: string;
  from: number;
  /** The turn in which it was answered: its fence, and when it was given. */
  to: number;
  fence: number;
}

/** Who ends a turn while something waits goes on with it: nobody else is told that there is something to do. */
export function checkWakeUps(evidence: Evidence): Violation[] {
  const waits = Map.groupBy(waitsOf(evidence), ({ device, lane }) => `${device} ${lane}`);
  const isRepeated = repeatedCommits(evidence.calls);
  return [
    ...evidence.calls.flatMap((call) => {
      const end = endOf(call);
      // a repeated commit finds the turn released before, and perhaps with somebody else by now
      if (end === null || (call.kind === 'commit' && isRepeated(call.args[0], call.args[1])))
        return [];
      const missed = waits
        .get(`${end.device} ${end.lane}`)
        ?.find(({ from, to, fence }) => from < end.at && end.at < to && end.fence < fence);
      if (missed === undefined) return [];
      const what = `the turn ended though the message ${missed.id} was waiting`;
      return [violation('wake-up', end.device, what, call)];
    }),
    ...evidence.calls.flatMap(unnoticed),
  ];
}

/** An answer that says a message waits, and that nothing does. */
function unnoticed(call: Call): Violation[] {
  if (call.kind !== 'accept' || !call.result.known) return [];
  return call.result.value
    .filter(({ turn, waiting }) => turn === null && !waiting)
    .filter(({ messages }) => messages.some(({ status }) => status === 'waiting'))
    .map(({ device }) => violation('wake-up', device, 'a message waits unnoticed', call));
}

function waitsOf({ calls, dump }: Evidence): Wait[] {
  const turns = turnsByDevice(calls);
  const rows = new Map(dump.messages.map((row) => [row.id, row]));
  return calls.flatMap((call) => {
    if (call.kind !== 'accept' || !call.result.known) return [];
    return call.result.value.flatMap(({ device, now, messages }) =>
      messages.flatMap(({ id, status }): Wait[] => {
        const row = rows.get(id);
        const turn = turns.get(device)?.find(({ fence }) => String(fence) === row?.fence);
        if (status !== 'waiting' || row === undefined || turn === undefined) return [];
        return [
          { device, id, lane: row.lane, from: now.getTime(), to: turn.at, fence: turn.fence },
        ];
      }),
    );
  });
}

interface TurnEnd {
  device: DeviceId;
  lane: Lane;
  fence: number;
  at: number;
}

/** The end of a turn that its holder would have liked to keep. */
function endOf(call: Call): TurnEnd | null {
  if (!isPlain(call)) return null;
  const [end] = readAnswer<TurnEnd>(call, {
    commit(result, [device, fence, lane, , leaseMs]) {
      const isOver = result.outcome === 'committed' && !result.deliver && result.turn === null;
      if (!isOver || leaseMs === 0) return [];
      return [{ device, lane, fence: Number(fence), at: result.now.getTime() }];
    },
    settle(result, [device, fence, , leaseMs]) {
      if (result === null || result.turn !== null || leaseMs === 0) return [];
      return [{ device, lane: 'builtin', fence: Number(fence), at: result.now.getTime() }];
    },
  });
  return end ?? null;
}
