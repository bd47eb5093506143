import type { CleanUp, Storage } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type Told } from './views.ts';

/** One batch of each kind at a time, of the devices whose time has come. */
const CLEAN = script(String.raw`
local batch, old = input.batch, now - retention
local count = { locks = 0, sessions = 0, keys = 0, purged = 0, emptied = 0, bare = 0, events = 0, names = 0 }
local function may(kind)
  if count[kind] >= batch then return false end
  count[kind] = count[kind] + 1
  return true
end

local function is_full() return count.purged >= batch or count.emptied >= batch or count.bare >= batch end

local function end_lapsed(device)
  -- the version stays: nobody moved this lock, it had ended before
  if device.holding and device.holding.expiresAt <= now and may('locks') then end_holding(device, 'expired') end
  if device.session and device.session.endsAt <= now and may('sessions') then device.session = nil end
end

-- What was emptied, and is old enough by now to be forgotten.
local function forget_keys(device)
  for _, row in ipairs(rows_at(device.id, 'erased')) do
    if row.createdAt <= now - KEPT_KEYS and may('keys') then remove(row) end
  end
end

local function purge_session(device, session)
  local left = 0
  for _, row in ipairs(rows_in(device.id, session.id)) do
    -- a key needs no session
    if row.status ~= 'erased' then left = left + 1 end
    if not is_waiting(row) and not is_unsettled(row) then
      if not row.key or row.createdAt <= now - KEPT_KEYS then
        if may('purged') then
          if row.status ~= 'erased' then left = left - 1 end
          remove(row)
        end
      elseif row.status ~= 'erased' and may('emptied') then
        empty(row, device)
        left = left - 1
      end
    end
  end
  if left == 0 and may('bare') then drop_session(session) end
end

local function purge_events(device)
  local key = at(device.id, 'events')
  local first = call('LINDEX', key, 0)
  while first and cjson.decode(first).endedAt <= old and may('events') do
    call('LPOP', key)
    first = call('LINDEX', key, 0)
  end
end

local function is_bare(device)
  return not device.holding and not device.session
    and call('EXISTS', at(device.id, 'state'), at(device.id, 'rows'), at(device.id, 'sessions'), at(device.id, 'events')) == 0
end

-- Identities of whose device nothing is kept but its fences. Who is linked is always needed. Last of all: while something
-- of theirs is still to be purged nobody knows whether anything is left.
local function clean_names(device)
  for kind, done in pairs(count) do
    if kind ~= 'names' and done >= batch then return end
  end
  local key = at(device.id, 'names')
  for _, name in ipairs(call('ZRANGEBYSCORE', key, '-inf', text(old))) do
    if may('names') then
      if is_bare(device) and linked_to(device.id) == device.id then
        forget_name(name)
        call('ZREM', key, name)
      else
        call('ZADD', key, text(now), name)
      end
    end
  end
end

-- When the next of these has to be done.
local function plan(device)
  local erased = call('ZRANGE', at(device.id, 'erased'), 0, 0, 'WITHSCORES')
  device.heldUp = nil
  local next_at = erased[2] and tonumber(erased[2]) + KEPT_KEYS or math.huge
  if retention > 0 then
    local name = call('ZRANGE', at(device.id, 'names'), 0, 0, 'WITHSCORES')
    if name[2] then next_at = math.min(next_at, tonumber(name[2]) + retention) end
    local event = call('LINDEX', at(device.id, 'events'), 0)
    if event then next_at = math.min(next_at, cjson.decode(event).endedAt + retention) end
    for _, session in ipairs(all_sessions(device.id)) do
      local ends = kept_until(session)
      if ends <= now and not is_full() then
        -- something in it waits, or its key is kept: looked at again once anything was done with the device
        device.heldUp = true
      else
        next_at = math.min(next_at, ends)
      end
    end
  end
  device.purgeAt = next_at < math.huge and next_at or nil
end

local due = call('ZRANGEBYSCORE', input.prefix .. 'ends', '-inf', text(now), 'LIMIT', 0, batch)
for _, id in ipairs(due) do
  local device = open(id)
  if not device then
    call('ZREM', input.prefix .. 'ends', id)
  else
    end_lapsed(device)
    if device.purgeAt and device.purgeAt <= now then
      forget_keys(device)
      if retention > 0 then
        for _, session in ipairs(all_sessions(id)) do
          if session.lastActivity <= old and session.expiresAt <= now then purge_session(device, session) end
        end
        purge_events(device)
        clean_names(device)
      end
      plan(device)
    end
  end
end
-- being cleaned is no sign of life
for _, device in pairs(opened) do
  if device then save(device) end
end
local most = #due
for _, done in pairs(count) do most = math.max(most, done) end
return cjson.encode({
  now = now,
  expiredLocks = count.locks,
  expiredSessions = count.sessions,
  purgedMessages = count.keys + count.purged + count.emptied,
  more = most >= batch,
})
`);

const PING = script('return cjson.encode({ now = now })');

/** What keeps the house in order. */
export function upkeepOperations({ run }: Runner): Pick<Storage, 'cleanUp' | 'ping'> {
  return {
    async cleanUp(batch) {
      const { now, ...done } = (await run(CLEAN, { batch })) as Told<Omit<CleanUp, 'now'>>;
      return { now: dateOf(now), ...done };
    },
    async ping() {
      return { now: dateOf(((await run(PING, {})) as Told<object>).now) };
    },
  };
}
