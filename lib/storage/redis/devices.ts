import type { DeviceRecord, Storage, Version } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import {
  dateOf,
  type List,
  listOf,
  parseListed,
  parseLock,
  type Told,
  type ToldLock,
  type ToldSession,
} from './views.ts';

const REGISTER = script(String.raw`
if open(input.device) then return '{"made":false}' end
ensure(input.device)
finish()
return '{"made":true}'
`);

const READ = script(String.raw`
local device = open(linked_to(input.device))
if not device then return '{}' end
local all = sorted(all_sessions(device.id), latest_first)
local own = filter(all, function(one) return not input.user or one.user == input.user end)
local events = map(call('LRANGE', at(device.id, 'events'), 0, -1), cjson.decode)
local state = call('GET', at(device.id, 'state'))
local kept = filter(map(call('HVALS', at(device.id, 'rows')), cjson.decode), function(row)
  return row.status ~= 'erased'
end)
-- everything of it was erased, and nothing has come since
if device.erasedAt and not device.holding and not state and #kept + #all + #events == 0 then return '{}' end
local updated = math.max(device.createdAt, device.stateUpdatedAt or 0, device.holding and device.holding.lockedAt or 0)
for _, one in ipairs(all) do updated = math.max(updated, one.lastActivity) end
for _, one in ipairs(events) do updated = math.max(updated, one.endedAt) end
-- a lapsed holding is noted by whoever comes next
local held, lock = device.holding, view_lock(device)
if held and not lock then
  events[#events + 1] = { agent = held.agent, startedAt = held.lockedAt, endedAt = held.expiresAt, reason = 'expired' }
end
local count = { user = 0, assistant = 0, waiting = 0, failed = 0 }
for _, row in ipairs(kept) do
  count[row.role] = count[row.role] + 1
  if row.role == 'user' and count[row.status] then count[row.status] = count[row.status] + 1 end
end
return cjson.encode({
  now = now,
  createdAt = device.createdAt,
  updatedAt = updated,
  lock = lock,
  state = state and { version = device.stateVersion, bytes = #state, updatedAt = device.stateUpdatedAt } or nil,
  messages = count,
  sessionCount = #own,
  sessions = map(first_of(own, input.limit), view_listed),
  holdings = first_of(reversed(events), input.limit),
})
`);

type ToldRecord = Told<{
  createdAt: number;
  updatedAt: number;
  lock?: ToldLock;
  state?: { version: string; bytes: number; updatedAt: number };
  messages: DeviceRecord['messages'];
  sessionCount: number;
  sessions: List<ToldSession>;
  holdings: List<{
    agent: string;
    startedAt: number;
    endedAt: number;
    reason: DeviceRecord['holdings'][number]['reason'];
  }>;
}>;

/** Devices as such. */
export function deviceOperations({ run }: Runner): Pick<Storage, 'registerDevice' | 'readDevice'> {
  return {
    async registerDevice(device) {
      return ((await run(REGISTER, { device })) as { made: boolean }).made;
    },
    async readDevice(device, user, limit) {
      const told = (await run(READ, { device, user, limit })) as ToldRecord | { now?: undefined };
      if (told.now === undefined) return null;
      const { state } = told;
      return {
        now: dateOf(told.now),
        record: {
          createdAt: dateOf(told.createdAt),
          updatedAt: dateOf(told.updatedAt),
          lock: parseLock(told.lock),
          state:
            state === undefined
              ? null
              : {
                  version: state.version as Version,
                  bytes: state.bytes,
                  updatedAt: dateOf(state.updatedAt),
                },
          messages: told.messages,
          sessionCount: told.sessionCount,
          sessions: listOf(told.sessions).map(parseListed),
          holdings: listOf(told.holdings).map(({ agent, startedAt, endedAt, reason }) => ({
            agent,
            from: dateOf(startedAt),
            to: dateOf(endedAt),
            reason,
          })),
        },
      };
    },
  };
}
