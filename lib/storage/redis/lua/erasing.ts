/** What is forgotten before its time. */
export const ERASING = String.raw`
-- Words that are erased must not come back with a COMMIT; what is only being sent may be settled.
local function take_back_turn(device, is_erased)
  local grant = device.grant
  if not grant or not grant.endsAt or is_sending(device) then return end
  if find(rows_of(device.id, grant.handed), is_erased) then revoke(grant) end
end

-- Some of a device's chat sessions; lock and state may be somebody else's. Gives how many messages had words.
local function erase_sessions(device, sessions)
  local ids, messages = {}, 0
  for _, session in ipairs(sessions) do ids[session.id] = true end
  take_back_turn(device, function(row) return ids[row.session] end)
  if device.session and ids[device.session.id] then device.session = nil end
  for _, session in ipairs(sessions) do
    messages = messages + erase(device, rows_in(device.id, session.id))
    drop_session(session)
  end
  return messages
end

-- A device's code is good no more.
local function take_code(id)
  local device = open(id)
  if not device or not device.code then return end
  local key = global('code', device.code)
  local found = call('GET', key)
  -- one that lapsed may be another's by now
  if found and cjson.decode(found).device == id then call('DEL', key) end
  device.code = nil
end

-- What stays is blank: nobody who was at work on it holds its turn.
local function erase_whole(id, receipt)
  local device, names = open(id), call('ZRANGE', at(id, 'names'), 0, -1)
  local sessions, linked = all_sessions(id), call('SMEMBERS', at(id, 'linked'))
  receipt.holdings = receipt.holdings + call('LLEN', at(id, 'events'))
  if device then
    if device.holding then receipt.holdings = receipt.holdings + 1 end
    receipt.messages = receipt.messages + erase(device, rows_of(id, call('HKEYS', at(id, 'rows'))))
    take_code(id)
    opened[id] = {
      id = id,
      createdAt = now,
      lastSeq = 0,
      heard = {},
      asked = {},
      keepUntil = device.keepUntil,
      purgeAt = device.purgeAt,
      erasedAt = now,
    }
  end
  for _, session in ipairs(sessions) do drop_session(session) end
  for _, name in ipairs(names) do forget_name(name) end
  for _, guest in ipairs(linked) do call('DEL', global('link', guest)) end
  for _, name in ipairs({ 'state', 'events', 'fences', 'names', 'linked' }) do call('DEL', at(id, name)) end
  call('HDEL', input.prefix .. 'tries', id)
  receipt.sessions = receipt.sessions + #sessions
  receipt.identities = receipt.identities + #names + #linked
end

-- That this user was on a device.
local function names_of_user(id, user)
  return filter(call('ZRANGE', at(id, 'names'), 0, -1), function(name)
    local _, _, kind, value = unpack(cjson.decode(name))
    return kind == 'user' and value == user
  end)
end
local function forget_user(id, user, receipt)
  for _, name in ipairs(names_of_user(id, user)) do
    call('ZREM', at(id, 'names'), name)
    forget_name(name)
    receipt.identities = receipt.identities + 1
  end
end

local function new_receipt()
  return { devices = 0, shared = 0, sessions = 0, messages = 0, holdings = 0, identities = 0 }
end
`;
