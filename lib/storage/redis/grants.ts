import { randomBytes, randomUUID } from 'node:crypto';
import type {
  AcceptedDevice,
  AcceptedMessage,
  DeviceId,
  IncomingMessage,
  Rate,
  Storage,
  TurnTerms,
} from '../storage.ts';
import { ARRIVALS } from './lua/arrivals.ts';
import { DOCUMENTS } from './lua/documents.ts';
import { IDENTITIES } from './lua/identities.ts';
import { type Runner, script } from './scripts.ts';
import {
  dateOf,
  type List,
  listOf,
  parseLock,
  parseTurn,
  parseTurns,
  textOf,
  type Told,
  type ToldLock,
  type ToldTurn,
} from './views.ts';

const ACCEPT = script(
  DOCUMENTS,
  IDENTITIES,
  ARRIVALS,
  String.raw`
if input.link then link(input.messages) end
local arrived = input.store and store(input.messages) or {}
local devices = input.take and take(input.messages, input.terms) or {}
finish()
return cjson.encode({ now = now, arrived = arrived, devices = devices })
`,
);

const NEXT = script(String.raw`
local list, ids, seen = {}, {}, {}
for _, id in ipairs(input.devices) do
  ids[#ids + 1] = id
  -- workers elsewhere name the device they were told of; what waited there before it was linked is theirs as well
  if input.terms.lane == 'external' then ids[#ids + 1] = linked_to(id) end
end
for _, id in ipairs(ids) do
  local device = not seen[id] and open(id)
  seen[id] = true
  if device and (waits_in(device, input.terms.lane) or (input.terms.lane == 'builtin' and may_deliver(device))) then
    list[#list + 1] = device
  end
end
local turns = take_turns(sorted(list, by_device), input.terms)
finish()
return cjson.encode({ now = now, turns = turns })
`);

// Which devices a call was given, so that the same call gets them again, is kept as long as their leases.
const RECOVER = script(String.raw`
local terms, own = input.terms, global('call', input.terms.requestId)
local turns, seen = {}, {}
-- Left to whoever stored what waits: nothing is to be sent, and it has only just come in.
local function is_resting(device)
  if input.restMs == 0 or call('ZCARD', at(device.id, 'unsettled')) > 0 then return false end
  local first = rows_at(device.id, 'waiting:builtin')[1]
  return first ~= nil and first.createdAt > now - input.restMs
end
local function try(id)
  local device = open(id)
  seen[id] = true
  if not device then return call('ZREM', input.prefix .. 'due', id) end
  if is_resting(device) then return end
  local turn = take_turns({ device }, { requestId = terms.requestId, lane = 'builtin', leaseMs = terms.leaseMs, maxTurns = 1 })[1]
  if turn then
    turns[#turns + 1] = turn
    call('SADD', own, id)
  end
  save(device, true)
end
for _, id in ipairs(call('SMEMBERS', own)) do
  if #turns < terms.maxTurns then try(id) end
end
local found = true
while found and #turns < terms.maxTurns do
  found = false
  local due = call('ZRANGEBYSCORE', input.prefix .. 'due', '-inf', text(now), 'LIMIT', 0, terms.maxTurns + 20)
  for _, id in ipairs(due) do
    if not seen[id] and #turns < terms.maxTurns then
      found = true
      try(id)
    end
  end
end
call('PEXPIRE', own, text(terms.leaseMs))
return cjson.encode({ now = now, turns = turns })
`);

/** Messages that one script stores: Redis does nothing else meanwhile. */
const CHUNK = 50;

interface Arrived {
  index: number;
  device: string;
  refused?: AcceptedDevice['refused'][number]['reason'];
  id: string;
  messageId: string;
  sessionId: string;
  status: string;
  duplicate: boolean;
}

interface Accepted {
  device: string;
  lock?: ToldLock;
  waiting: boolean;
  turn?: ToldTurn;
  rate?: Rate;
}

type ToldAccept = Told<{ arrived: List<Arrived>; devices: List<Accepted> }>;

/** How a turn is taken. */
export function grantOperations({
  run,
  runAll,
}: Runner): Pick<Storage, 'accept' | 'next' | 'recover'> {
  return {
    async accept(messages, terms) {
      const wired = messages.map(wire);
      const told = (await runAll(ACCEPT, stepsFor(wired, terms))) as ToldAccept[];
      const arrived = told.flatMap((one) => listOf(one.arrived));
      const last = told.at(-1);
      return listOf(last?.devices).map((one): AcceptedDevice => {
        const own = arrived
          .filter(({ device }) => device === one.device)
          .toSorted((a, b) => a.index - b.index);
        return {
          device: one.device as DeviceId,
          now: dateOf(last?.now ?? 0),
          messages: own.flatMap(viewAccepted),
          refused: own.flatMap(({ index, refused: reason }) =>
            reason === undefined ? [] : [{ index, reason }],
          ),
          lock: parseLock(one.lock),
          waiting: one.waiting,
          turn: parseTurn(one.turn),
          ...(one.rate !== undefined && { rate: one.rate }),
        };
      });
    },
    async next(devices, terms) {
      const told = await run(NEXT, { devices, terms });
      return viewTurns(told as Told<{ turns: List<ToldTurn> }>);
    },
    async recover(terms, restMs = 0) {
      const told = await run(RECOVER, { terms, restMs });
      return viewTurns(told as Told<{ turns: List<ToldTurn> }>);
    },
  };
}

const viewTurns = ({ now, turns }: Told<{ turns: List<ToldTurn> }>) => ({
  now: dateOf(now),
  turns: parseTurns(turns),
});

const viewAccepted = ({ refused, device: _device, ...message }: Arrived): AcceptedMessage[] =>
  refused === undefined ? [message] : [];

type Wired = ReturnType<typeof wire>;

/** A message as the scripts take it, with a name for the session that it may begin. */
function wire({ sender, metadata, ...message }: IncomingMessage, index: number) {
  const kind = 'device' in sender ? 'device' : 'session' in sender ? 'session' : 'person';
  return { ...message, ...sender, index, kind, begins: randomUUID(), metadata: textOf(metadata) };
}

/**
 * The inputs of one call: a few messages are one script. Of many the senders are made known first, then the messages
 * are stored, each sender's together, and at last turns are taken, when everything is there.
 */
function stepsFor(messages: Wired[], terms: TurnTerms): object[] {
  const secret = randomBytes(32).toString('hex');
  if (messages.length <= CHUNK)
    return [{ messages, terms, secret, link: true, store: true, take: true }];
  const senders = messages.map(({ content: _content, metadata: _metadata, ...sender }) => sender);
  return [
    { messages: senders, terms, secret, link: true },
    ...chunksOf(messages).map((chunk) => ({ messages: chunk, terms, store: true })),
    { messages: senders, terms, take: true },
  ];
}

function chunksOf(messages: Wired[]): Wired[][] {
  const bySender = Map.groupBy(messages, (message) =>
    JSON.stringify(
      'device' in message
        ? message.device
        : 'session' in message
          ? message.session
          : [message.account, message.userId ?? message.phone],
    ),
  );
  const chunks: Wired[][] = [[]];
  for (const own of bySender.values()) {
    if ((chunks.at(-1)?.length ?? 0) + own.length > CHUNK) chunks.push([]);
    chunks.at(-1)?.push(...own);
  }
  return chunks.filter((chunk) => chunk.length > 0);
}
