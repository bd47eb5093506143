import { randomUUID } from 'node:crypto';
import type { StorageLimits } from '../../lib/storage/limits.ts';
import { createRedisStorage } from '../../lib/storage/redis/redis-storage.ts';
import { createRunner, script, type Settings } from '../../lib/storage/redis/scripts.ts';
import { openUpstash, type Send } from '../../lib/storage/redis/upstash.ts';
import { type List, listOf } from '../../lib/storage/redis/views.ts';
import {
  type Harness,
  limits,
  type Open,
  type StoredEvent,
  type StoredMessage,
  type StoredSession,
  UNHURRIED,
} from './storage.ts';
import type { UpstashEntrance } from './upstash-bridge.ts';

const SHIFT = script(String.raw`
local device = open(input.device)
if not device then return '{}' end
if device.holding and input.lock then device.holding.expiresAt = now + input.lock end
if device.session and input.session then device.session.endsAt = now + input.session end
if device.grant and device.grant.endsAt and input.turn then device.grant.endsAt = now + input.turn end
for _, row in ipairs(rows_at(device.id, 'unsettled')) do
  local ends = input.unsettled
  if row.status == 'sending' then ends = input.turn end
  if ends then
    row.claimEndsAt = now + ends
    keep(row)
  end
end
save(device)
return '{}'
`);

// what Redis itself ends is left where it is: a key that is too old would be gone at once
const AGE = script(String.raw`
local device = open(input.device)
local function older(of, ...)
  for _, name in ipairs({ ... }) do
    if of and of[name] then of[name] = of[name] - input.by end
  end
end
older(device, 'stateUpdatedAt', 'purgeAt', 'createdAt', 'rateUntil')
for _, name in ipairs(call('ZRANGE', at(device.id, 'names'), 0, -1)) do
  call('ZINCRBY', at(device.id, 'names'), text(-input.by), name)
end
older(device.holding, 'lockedAt', 'expiresAt')
older(device.session, 'endsAt')
older(device.grant, 'endsAt')
for way in pairs(device.heard) do older(device.heard, way) end
for _, id in ipairs(call('HKEYS', at(device.id, 'rows'))) do
  local row = row_of(device.id, id)
  older(row, 'sentAt', 'createdAt', 'claimEndsAt')
  keep(row)
end
for id, found in pairs(map(call('HVALS', at(device.id, 'sessions')), cjson.decode)) do
  older(found, 'createdAt', 'lastActivity', 'expiresAt')
  call('HSET', at(device.id, 'sessions'), found.id, cjson.encode(found))
end
local events = map(call('LRANGE', at(device.id, 'events'), 0, -1), cjson.decode)
for i, event in ipairs(events) do
  older(event, 'startedAt', 'endedAt')
  call('LSET', at(device.id, 'events'), i - 1, cjson.encode(event))
end
save(device)
return '{}'
`);

const DUMP = script(String.raw`
local device = open(input.device)
local list = rows_of(input.device, call('HKEYS', at(input.device, 'rows')))
for _, row in ipairs(list) do row.content = call('HGET', at(input.device, 'texts'), text(row.id)) or nil end
return cjson.encode({
  turnEndsAt = device and device.grant and device.grant.endsAt,
  rows = list,
  sessions = map(call('HVALS', at(input.device, 'sessions')), cjson.decode),
  events = reversed(map(call('LRANGE', at(input.device, 'events'), 0, -1), cjson.decode)),
})
`);

const DELETE = script(String.raw`
for _, name in ipairs(KEYS_OF_DEVICE) do call('DEL', at(input.device, name)) end
return '{}'
`);

interface Dump {
  turnEndsAt?: number;
  rows: List<{
    id: number;
    role: string;
    content?: string;
    status: string;
    seq?: number;
    session: string;
    attempts: number;
    answers?: string[];
    externalId?: string;
    error?: string;
    sentAt: number;
  }>;
  sessions: List<{
    id: string;
    complete: boolean;
    messageCount: number;
    createdAt: number;
    lastActivity: number;
    expiresAt: number;
  }>;
  events: List<{ agent: string; reason: string; startedAt: number; endedAt: number }>;
}

/** As if nothing were ever trimmed. */
const everything = { kept: 1_000, keptBytes: 2 ** 40 };

/** Redis behind the bridge; each storage has keys of its own. */
export const openRedisAt =
  (entrance: () => UpstashEntrance, kept: Kept = everything): Open =>
  (some) =>
    Promise.resolve(redisHarness(openUpstash(entrance(), UNHURRIED), { ...limits, ...some }, kept));

type Kept = Pick<Settings, 'kept' | 'keptBytes'>;

/** `turnEndsAt`: when the device's lease ends, or did where nobody has noted it; null: it was released. */
export function redisHarness(
  send: Send,
  all: StorageLimits,
  kept: Kept = everything,
): Harness & { turnEndsAt(device: string): Promise<number | null> } {
  const settings = { prefix: `${randomUUID()}:`, ...kept, limits: all };
  const { run } = createRunner(send, settings);
  const dump = async (device: string) => (await run(DUMP, { device })) as Dump;
  return {
    storage: createRedisStorage(send, settings),
    turnEndsAt: async (device) => (await dump(device)).turnEndsAt ?? null,
    shift: async (device, ends) => void (await run(SHIFT, { device, ...ends })),
    age: async (device, by) => void (await run(AGE, { device, by })),
    async messages(device) {
      const rows = listOf((await dump(device)).rows).toSorted(
        (a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity) || a.sentAt - b.sentAt || a.id - b.id,
      );
      return rows.map((row): StoredMessage => ({
        id: String(row.id),
        role: row.role,
        content: row.content ?? '',
        status: row.status,
        seq: row.seq ?? null,
        session: row.session,
        attempts: row.attempts,
        answers: row.answers ?? null,
        externalId: row.externalId ?? null,
        error: row.error ?? null,
      }));
    },
    async sessions(device) {
      const sessions = listOf((await dump(device)).sessions).toSorted(
        (a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
      );
      return sessions.map(
        ({ id, complete, messageCount, lastActivity, expiresAt }): StoredSession => ({
          id,
          complete,
          messageCount,
          life: expiresAt - lastActivity,
        }),
      );
    },
    async events(device) {
      return listOf((await dump(device)).events).map(
        ({ agent, reason, startedAt, endedAt }): StoredEvent => ({
          agent,
          reason,
          startedAt: new Date(startedAt),
          endedAt: new Date(endedAt),
        }),
      );
    },
    deleteRow: async (device) => void (await run(DELETE, { device })),
    close: () => Promise.resolve(),
  };
}
