/**
 * What Baton must know to give a device its next turn: one JSON text under `device`, beside it the state document under
 * `state`. Two sorted sets over all devices say when somebody has to look at one again: `due` for turns that were let
 * fall, `ends` for the clean-up.
 */
export const DEVICES = String.raw`
local opened = {}

local function open(id)
  if opened[id] == nil then
    local found = call('GET', at(id, 'device'))
    opened[id] = found and cjson.decode(found) or false
  end
  return opened[id] or nil
end
local function ensure(id)
  if not open(id) then
    opened[id] = { id = id, createdAt = now, lastSeq = 0, heard = {}, asked = {}, keepUntil = 0 }
  end
  return opened[id]
end

-- The row under a key, or what is left of one that was trimmed.
local function known_by(key)
  local found = call('GET', key)
  if not found then return nil end
  local told = cjson.decode(found)
  local row = row_of(told.device, told.id)
  if row then return row end
  if not told.status then return nil end
  local device = open(told.device)
  local status = device and not device.erasedAt and told.status or 'erased'
  return { id = tonumber(told.id), device = told.device, session = told.session, status = status }
end

-- The device whose turn a token is of: the caller's own, or the one it is linked to; a turn may be older than a link.
local function turn_device(id, fence)
  local linked = linked_to(id)
  local device = open(linked)
  local grant, committed = device and device.grant, device and device.committed
  if (grant and grant.fence == fence) or (committed and committed.fence == fence) then return linked end
  return id
end

local function is_held(device)
  local grant = device.grant
  return grant ~= nil and grant.endsAt ~= nil and grant.endsAt > now
end
-- Whether a turn has committed, and is sending what it said.
local function is_sending(device)
  return device.grant ~= nil and device.committed ~= nil and device.grant.fence == device.committed.fence
end

local function due_of(device)
  -- what waits is due from its arrival on: before all that came later, however much of it there is
  local first = call('ZRANGE', at(device.id, 'waiting:builtin'), 0, 0)[1]
  local waiting = first and row_of(device.id, first)
  local due = waiting and waiting.createdAt
  local head = call('ZRANGE', at(device.id, 'unsettled'), 0, 0)[1]
  local row = head and row_of(device.id, head)
  if row then due = math.min(due or math.huge, row.status == 'sending' and 0 or row.claimEndsAt) end
  return due and math.max(due, device.grant and device.grant.endsAt or 0)
end

local function schedule(name, device, when)
  if when and when < math.huge then
    call('ZADD', input.prefix .. name, text(when), device.id)
  else
    call('ZREM', input.prefix .. name, device.id)
  end
end

local KEYS_OF_DEVICE = {
  'device', 'state', 'rows', 'texts', 'metadata', 'waiting:builtin', 'waiting:external', 'unsettled', 'failed',
  'erased', 'said', 'fences', 'sessions', 'session-metadata', 'events', 'names', 'linked',
}

-- A member of a user's sessions: device:session, and device: for each device that has had one (names of the device).
local function enter_user(user, member, until_ms)
  local key = global('user', user)
  call('SADD', key, member)
  if retention > 0 and call('PTTL', key) < until_ms - now then lasts(key, until_ms) end
end

-- An erasure must find whose a device is for as long as anything of it is kept.
local function keep_users(id)
  for _, name in ipairs(call('ZRANGE', at(id, 'names'), 0, -1)) do
    local _, _, kind, user = unpack(cjson.decode(name))
    if kind == 'user' then
      enter_user(user, id .. ':', now + KNOWN)
      lasts(global('who', name), now + KNOWN)
    end
  end
end

-- Everything of a device ends together. All of it is put off at once, for some time to come; until then only what this
-- script had to do with, and may have made: each key is a command.
local function write_device(device)
  if retention == 0 then return call('SET', at(device.id, 'device'), cjson.encode(device)) end
  local all = device.keepUntil > (device.lasts or 0)
  if all then
    device.lasts = device.keepUntil + math.min(DAY, retention / 10)
    keep_users(device.id)
  end
  local made = named[device.id] or {}
  for _, name in ipairs(KEYS_OF_DEVICE) do
    if name ~= 'device' and (all or made[name]) then lasts(at(device.id, name), device.lasts) end
  end
  call('SET', at(device.id, 'device'), cjson.encode(device), 'PXAT', text(device.lasts))
end

-- Writes what became of a device. It is kept for longer by every sign of life.
local function save(device, lives_on)
  local holding, session = device.holding, device.session
  if lives_on then
    if device.heldUp then device.purgeAt = now end
    device.keepUntil = math.max(
      device.keepUntil,
      now + retention,
      holding and holding.expiresAt or 0,
      session and session.endsAt or 0
    )
  end
  write_device(device)
  schedule('due', device, due_of(device))
  schedule('ends', device, math.min(
    holding and holding.expiresAt or math.huge,
    session and session.endsAt or math.huge,
    device.purgeAt or math.huge
  ))
end

local function finish()
  for _, of in pairs(grown) do trim(of[1], of[2]) end
  for _, device in pairs(opened) do
    if device then save(device, true) end
  end
end
`;
