import type { DeviceId } from '../../../lib/storage/storage.ts';
import { HUMAN } from '../../../lib/storage/storage.ts';
import type { Evidence, MessageRow, Violation } from '../history.ts';
import { grantsOf, violation } from './facts.ts';

/** The numbers of a device's history go up by one, and its row knows the last of them. */
export function checkOrder({ dump }: Evidence): Violation[] {
  const rows = Map.groupBy(dump.messages, ({ device }) => device);
  return dump.devices.flatMap(({ device, lastSeq }) => {
    const numbers = (rows.get(device) ?? []).flatMap(({ seq }) => seq ?? []);
    const gap = numbers.findIndex((seq, index) => seq !== index + 1);
    if (gap >= 0)
      return [violation('order', device, `${numbers[gap]} stands where ${gap + 1} should`)];
    if (numbers.length === lastSeq) return [];
    return [violation('order', device, `the last number is ${lastSeq}, of ${numbers.length} rows`)];
  });
}

/** What the script wrote for one device is nowhere with another: all of it bears the device's name. */
export function checkDevices({ dump, calls, devices }: Evidence): Violation[] {
  const known = new Set(devices);
  const isOwn = (device: DeviceId, text: string | null) =>
    text === null || text === HUMAN || text.startsWith(device);
  const tell = (device: DeviceId, what: string) => violation('device', device, what);
  const isForeign = ({ device, content }: Pick<MessageRow, 'device' | 'content'>) =>
    !known.has(device) || !isOwn(device, content);
  return [
    ...dump.messages
      .filter(isForeign)
      .map(({ device, id }) => tell(device, `holds the foreign message ${id}`)),
    ...dump.devices
      .filter(({ device, agent }) => !isOwn(device, agent))
      .map(({ device }) => tell(device, 'is held by a foreign agent')),
    ...dump.devices
      .filter(({ device, state }) => state !== null && state['device'] !== device)
      .map(({ device }) => tell(device, 'holds a foreign state')),
    ...dump.events
      .filter(({ device, agent }) => !isOwn(device, agent))
      .map(({ device }) => tell(device, 'was held by a foreign agent')),
    ...grantsOf(calls).flatMap(({ device, turn, call }) => {
      const said = [...turn.messages, ...turn.history, ...turn.replies];
      const isWhole =
        said.every(({ content }) => isOwn(device, content)) &&
        isOwn(device, turn.lock?.agent ?? null) &&
        (turn.state['device'] ?? device) === device;
      return isWhole
        ? []
        : [violation('device', device, 'a turn shows what belongs to another', call)];
    }),
  ];
}
