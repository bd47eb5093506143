import type { Commit, Delivery, DeviceId, Turn } from '../../lib/storage/storage.ts';
import type { Command, Fate, Told } from './commands.ts';
import type { Given, Granted, Sendable } from './given.ts';
import type { Side } from './sides.ts';
import { byDevice, contentOf, messageOf, termsOf } from './values.ts';

// Messages, turns and what becomes of them. `touched` gets the devices that a command was about.

export async function accept(
  { storage }: Side,
  given: Given,
  command: Extract<Command, { do: 'accept' }>,
  now: number,
  touched: Set<DeviceId>,
): Promise<unknown> {
  if (command.said.length === 0) return undefined;
  const messages = command.said.map((said) =>
    messageOf(said, given.sender(said.who), command.lane, now),
  );
  const accepted = (await storage.accept(messages, termsOf(command))).toSorted(byDevice);
  for (const { device, turn, messages: stored } of accepted) {
    touched.add(device);
    for (const { sessionId } of stored) given.noteSession(sessionId, device);
    if (!given.devices.includes(device)) given.devices.push(device);
    given.learn(turn, command.lane);
  }
  return accepted;
}

export async function next(
  { storage }: Side,
  given: Given,
  command: Extract<Command, { do: 'next' }>,
  touched: Set<DeviceId>,
): Promise<unknown> {
  const devices = command.devices.map((n) => given.device(n));
  for (const device of devices) touched.add(device);
  const { now, turns } = await storage.next(devices, termsOf(command));
  const ordered = turns.toSorted(byDevice);
  for (const turn of ordered) given.learn(turn, command.lane);
  return { now, turns: ordered };
}

/** Until nothing is left: in which order a storage finds what was let fall is its own affair. */
export async function recover(
  { storage }: Side,
  given: Given,
  { maxTurns, leaseMs }: Extract<Command, { do: 'recover' }>,
  touched: Set<DeviceId>,
): Promise<Turn[]> {
  const found: Turn[] = [];
  for (let last = 1; last > 0;) {
    const requestId = given.recovery();
    const { turns } = await storage.recover({ requestId, leaseMs, maxTurns });
    found.push(...turns);
    last = turns.length;
  }
  const ordered = found.toSorted(byDevice);
  for (const turn of ordered) {
    touched.add(turn.device);
    given.learn(turn, 'builtin');
  }
  return ordered;
}

export async function noteStatuses(
  { storage }: Side,
  given: Given,
  told: Told[],
  touched: Set<DeviceId>,
): Promise<unknown> {
  const found = told.flatMap((one) => {
    const reply = given.replies[one.reply];
    return reply === undefined ? [] : [{ one, reply }];
  });
  const channel = found[0]?.reply.channel;
  if (channel === undefined) return undefined;
  for (const { reply } of found) touched.add(reply.device);
  return storage.noteStatuses(
    channel,
    found.map(({ one: { byId, attempt, status, retryMs }, reply }) => ({
      account: reply.account,
      externalId: wamid(reply, attempt),
      replyId: byId ? reply.id : null,
      status,
      ...(retryMs !== undefined && { retryMs }),
    })),
  );
}

/** What a worker does with its turn. */
export async function end(
  side: Side,
  given: Given,
  turn: Granted,
  command: Extract<Command, { turn: number }>,
): Promise<unknown> {
  const { storage } = side;
  const { device, fence, lane } = turn;
  switch (command.do) {
    case 'commit':
      turn.content = contentOf(command.content);
      if (command.otherLane !== true)
        return commit(side, given, turn, turn.content, command.leaseMs);
      return storage.commit(
        device,
        fence,
        lane === 'builtin' ? 'external' : 'builtin',
        turn.content,
        command.leaseMs,
      );
    case 'commit again':
      return turn.content === null
        ? undefined
        : commit(side, given, turn, turn.content, command.leaseMs);
    case 'settle': {
      const deliveries = command.fates.flatMap((fate, i) => deliveryOf(turn.replies[i], fate));
      const settled = await storage.settle(device, fence, deliveries, command.leaseMs);
      given.learn(settled?.turn ?? null, 'builtin');
      return settled;
    }
    case 'extend':
      return storage.extend(device, fence, lane, command.leaseMs);
    case 'give back':
      return storage.giveBack(device, fence, lane);
    case 'fail':
      return storage.fail(device, fence, 'Error');
  }
}

async function commit(
  { storage }: Side,
  given: Given,
  turn: Granted,
  content: Commit,
  leaseMs: number,
): Promise<unknown> {
  const { device, fence, lane } = turn;
  const result = await storage.commit(device, fence, lane, content, leaseMs);
  if (result.outcome === 'committed') {
    turn.replies = given.sendable(result.replies, turn);
    given.learn(result.turn, lane);
  }
  return result;
}

function deliveryOf(reply: Sendable | undefined, fate: Fate | null): Delivery[] {
  if (reply === undefined || fate === null) return [];
  const { attempt, instead, ...said } = fate;
  const externalId = attempt === undefined ? {} : { externalId: wamid(reply, attempt) };
  const other = { content: 'instead', metadata: {}, agent: null };
  return [{ id: reply.id, ...said, ...externalId, ...(instead === true && { instead: other }) }];
}

const wamid = ({ place }: Sendable, attempt: number): string => `wamid.${place}.${attempt}`;
