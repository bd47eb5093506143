import type { AcceptedDevice, AcceptedMessage, Lane, Turn, TurnTerms } from '../storage.ts';
import { type Arrival, noteArrivals, storeOnce } from './arrivals.ts';
import { deviceOfSender, link } from './identities.ts';
import { viewLock } from './locks.ts';
import { isUnsettled, isWaiting } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { rateOf } from './rates.ts';
import { type Device, deviceRow, linkedTo, type Memory } from './tables.ts';
import { isHeld, takeTurn } from './turns.ts';

/** How a turn is taken. */
export function grantOperations(memory: Memory): Pick<Synchronous, 'accept' | 'next' | 'recover'> {
  const { tables, now: clock } = memory;
  return {
    accept(messages, terms) {
      const now = clock();
      link(memory, messages, now);
      const arrivals = messages.flatMap((message, index) => {
        const id = deviceOfSender(tables, message);
        if (id === undefined) return [];
        return [storeOnce(memory, deviceRow(tables, id, now), { message, index }, terms, now)];
      });
      noteArrivals(memory, arrivals, now);
      const devices = Map.groupBy(arrivals, ({ device }) => device);
      // told as they arrived: whose turn that fell is taken over now may be set aside by it
      const told = new Map(arrivals.map((entry) => [entry, viewAccepted(entry, terms)]));
      const turns = takeTurns(memory, [...devices.keys()].toSorted(byId), terms, now);
      return [...devices].map(([device, entries]): AcceptedDevice => {
        const turn = turns.find((one) => one.device === device.id) ?? null;
        const perMinute = entries.at(-1)?.message.perMinute;
        return {
          ...(perMinute !== undefined && { rate: rateOf(device, perMinute, now) }),
          device: device.id,
          now: new Date(now),
          messages: entries.flatMap((entry) => told.get(entry) ?? []),
          refused: entries.flatMap(({ index, refused: reason }) =>
            reason === null ? [] : [{ index, reason }],
          ),
          lock: viewLock(device, now),
          waiting: turn === null && waitsIn(device, terms.lane),
          turn,
        };
      });
    },
    next(asked, terms) {
      const now = clock();
      // workers elsewhere name the device they were told of; what waited there before it was linked is theirs as well
      const linked = terms.lane === 'external' ? asked.map((id) => linkedTo(tables, id)) : [];
      const ids = [...asked, ...linked];
      const devices = [...tables.devices.values()].filter(
        (device) =>
          ids.includes(device.id) &&
          (waitsIn(device, terms.lane) || (terms.lane === 'builtin' && mayDeliver(device, now))),
      );
      return { now: new Date(now), turns: takeTurns(memory, devices.toSorted(byId), terms, now) };
    },
    recover(terms, restMs = 0) {
      const now = clock();
      const fallen = [...tables.devices.values()].filter(
        (device) => waitsIn(device, 'builtin', now - restMs) || mayDeliver(device, now),
      );
      return {
        now: new Date(now),
        turns: takeTurns(memory, fallen, { ...terms, lane: 'builtin' }, now),
      };
    },
  };
}

function viewAccepted({ index, row }: Arrival, { requestId }: TurnTerms): AcceptedMessage[] {
  if (row === null) return [];
  const { id, externalId, session: sessionId, status } = row;
  const duplicate = row.requestId !== requestId;
  return [{ index, id: String(id), messageId: externalId ?? '', sessionId, status, duplicate }];
}

const byId = (a: Device, b: Device): number => (a.id < b.id ? -1 : 1);

const waitsIn = ({ messages }: Device, lane: Lane, since = Infinity): boolean =>
  messages.some((row) => isWaiting(row) && row.lane === lane && row.createdAt <= since);

/** Whether there may be something to send; what a worker that fell was sending becomes `unknown` by a look. */
const mayDeliver = ({ messages }: Device, now: number): boolean =>
  messages.some((row) => isUnsettled(row) && (row.status === 'sending' || row.claimEndsAt <= now));

/** Turns of these devices, in this order, at most `maxTurns`; first those that an earlier try of the same call took. */
function takeTurns(
  memory: Memory,
  devices: Device[],
  { requestId: owner, lane, leaseMs, maxTurns }: TurnTerms,
  now: number,
): Turn[] {
  const isOwn = (device: Device) => isHeld(device, now) && device.grant?.owner === owner;
  const ordered = [...devices.filter(isOwn), ...devices.filter((device) => !isOwn(device))];
  const turns: Turn[] = [];
  for (const device of ordered) {
    if (turns.length >= maxTurns) break;
    const turn = takeTurn(memory, device, { owner, lane, leaseMs }, now);
    if (turn !== null) turns.push(turn);
  }
  return turns;
}
