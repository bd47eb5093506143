import type { Call, Evidence, Violation } from '../history.ts';
import { turnsByDevice, violation } from './facts.ts';

const UNSETTLED = ['pending', 'sending', 'unknown'];
const FINAL = ['sent', 'failed'];

/** A reply that is out, or never will be, is not handed out to be sent again; in the end none is left unsettled. */
export function checkDeliveries({ calls, dump }: Evidence): Violation[] {
  const settled = new Map<string, { at: number; by: Call }>();
  for (const call of calls) {
    if (call.kind !== 'settle' || !call.result.known || call.result.value === null) continue;
    const at = call.result.value.now.getTime();
    for (const { id, status } of call.args[2])
      if (FINAL.includes(status)) settled.set(id, { at, by: call });
  }
  const turns = [...turnsByDevice(calls).values()].flat();
  const again = turns.flatMap(({ device, at, turn, call }) =>
    turn.replies.flatMap(({ id }) => {
      const before = settled.get(id);
      if (before === undefined || at <= before.at) return [];
      const what = `the settled reply ${id} is to be sent again`;
      return [violation('delivery', device, what, before.by, call)];
    }),
  );
  const left = dump.messages
    .filter(({ role, status }) => role === 'assistant' && UNSETTLED.includes(status))
    .map(({ id, device, status }) =>
      violation('delivery', device, `the reply ${id} is still ${status}`),
    );
  return [...again, ...left];
}
