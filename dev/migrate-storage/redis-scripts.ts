import { IDENTITIES } from '../../lib/storage/redis/lua/identities.ts';
import { script } from '../../lib/storage/redis/scripts.ts';

// What a move asks of Redis. None of the reading ones is a sign of life: what is read must end when it would have.

const NAMES = String.raw`
local NAMED = {
  device = function(id) return at(id, 'device') end,
  identity = function(id)
    local parts = cjson.decode(id)
    return global('who', name_of({ channel = parts[1], account = parts[2] }, parts[3], parts[4]))
  end,
  link = function(id) return global('link', id) end,
  key = function(id)
    local parts = cjson.decode(id)
    return key_of(parts[1], parts[2], parts[3])
  end,
}
`;

/** Where keys are: patterns for SCAN, where `prefix` is one. */
export const PATTERNS = script(String.raw`
return cjson.encode({
  device = at('*', 'device'),
  identity = global('who', '*'),
  link = global('link', '*'),
  key = global('key', '*'),
  any = at('*', '*'),
  mark = input.prefix .. 'move',
})
`);

/** How much of a session and of a device is kept. */
export const KEEPS = script(
  'return cjson.encode({ messages = limits.kept, bytes = limits.keptBytes, holdings = EVENTS })',
);

export const PRESENT = script(
  IDENTITIES,
  NAMES,
  String.raw`
return cjson.encode(map(input.ids, function(id) return call('EXISTS', NAMED[input.unit](id)) == 1 end))
`,
);

/** A device, first with everything but its many things, then page by page with these. */
export const READ_DEVICE = script(String.raw`
local id, bytes, told = input.device, 0, {}
if input.first then
  told.device = call('GET', at(id, 'device')) or nil
  if not told.device then return '{}' end
  told.state = call('GET', at(id, 'state')) or nil
  told.events = call('LRANGE', at(id, 'events'), 0, -1)
end
local function page(name, others, before, after)
  local fields, list = call('HKEYS', at(id, name)), {}
  table.sort(fields, before)
  for _, field in ipairs(fields) do
    if not after or before(after, field) then
      if bytes > input.bytes then
        told.more = true
        break
      end
      local one = { field, call('HGET', at(id, name), field) }
      for _, other in ipairs(others) do one[#one + 1] = call('HGET', at(id, other), field) or '' end
      for _, part in ipairs(one) do bytes = bytes + #part end
      list[#list + 1] = one
    end
  end
  return list
end
told.sessions = page('sessions', { 'session-metadata' }, function(a, b) return a < b end, input.session)
told.rows = page('rows', { 'texts', 'metadata' }, function(a, b) return tonumber(a) < tonumber(b) end, input.row)
return cjson.encode(told)
`);

/** `known`: milliseconds until whoever is named is forgotten, or nothing. */
export const READ_NAMES = script(
  IDENTITIES,
  NAMES,
  String.raw`
return cjson.encode({ now = now, known = retention > 0 and KNOWN or nil, list = map(input.ids, function(id)
  local key = NAMED[input.unit](id)
  local device = call('GET', key)
  return device and { device = device, left = call('PTTL', key) } or {}
end) })
`,
);

/** Keys of messages that are not here any more. */
export const READ_KEYS = script(
  IDENTITIES,
  NAMES,
  String.raw`
return cjson.encode({ now = now, list = map(input.ids, function(id)
  local key = NAMED.key(id)
  local found = call('GET', key)
  local told = found and cjson.decode(found)
  if not told or not told.status then return {} end
  return { device = told.device, id = told.id, session = told.session, left = call('PTTL', key) }
end) })
`,
);

const FORGET = String.raw`
local function forget(id)
  for _, row in ipairs(rows_of(id, call('HKEYS', at(id, 'rows')))) do
    if row.key then call('DEL', row.key) end
    if row.externalId then call('DEL', sent_key(row)) end
    call('DEL', global('reply', text(row.id)))
    call('ZREM', input.prefix .. 'failed', id .. ':' .. text(row.id))
  end
  for _, session in ipairs(all_sessions(id)) do drop_session(session) end
  for _, name in ipairs(KEYS_OF_DEVICE) do
    -- who it is stands by itself
    if name ~= 'names' and name ~= 'linked' then call('DEL', at(id, name)) end
  end
  schedule('due', { id = id })
  schedule('ends', { id = id })
end
`;

export const DROP = script(
  IDENTITIES,
  NAMES,
  FORGET,
  String.raw`
for _, id in ipairs(input.ids) do
  local key = NAMED[input.unit](id)
  local device = call('GET', key)
  if input.unit == 'device' then
    forget(id)
  else
    if device and input.unit == 'link' then call('SREM', at(device, 'linked'), id) end
    if device and input.unit == 'identity' then call('ZREM', at(device, 'names'), string.sub(key, #global('who', '') + 1)) end
    call('DEL', key)
  end
end
return '{}'
`,
);

// A device is written in pieces, first what it has many of, at last itself: it is there when all of it is.

export const WRITE_MESSAGES = script(String.raw`
local id = input.device
for _, one in ipairs(input.messages) do
  local row = one.row
  local name = text(row.id)
  local function left_of(life) return row.createdAt + life - now end
  if one.keyed then
    row.key = key_of(row.channel, row.account, row.externalId)
    if left_of(KEPT_KEYS) > 0 then
      call('SET', row.key, cjson.encode({ device = id, id = name, session = row.session }), 'PX', text(left_of(KEPT_KEYS)))
    end
  elseif row.externalId and left_of(HEARD) > 0 then
    call('SET', sent_key(row), id .. ':' .. name, 'PX', text(left_of(HEARD)))
  end
  if row.answers and left_of(HEARD) > 0 then call('SET', global('reply', name), id, 'PX', text(left_of(HEARD))) end
  set_texts(row, one.content, one.metadata)
  call('HSET', at(id, 'rows'), name, cjson.encode(row))
  rows[name] = row
  move(name, places_of(row))
  if row.seq and row.fence then
    local found = call('HGET', at(id, 'fences'), row.fence)
    local list = found and cjson.decode(found) or {}
    if not find(list, function(other) return other == name end) then list[#list + 1] = name end
    list = map(sorted(rows_of(id, list), by_place), function(other) return text(other.id) end)
    call('HSET', at(id, 'fences'), row.fence, cjson.encode(list))
  end
end
return '{}'
`);

export const WRITE_SESSIONS = script(String.raw`
for _, one in ipairs(input.sessions) do
  local session = one.session
  call('HSET', at(session.device, 'session-metadata'), session.id, one.metadata)
  keep_session(session, { id = session.device, keepUntil = 0 })
  -- what is past its retention goes with the next clean-up, not before
  if kept_until(session) < now + DAY then call('SET', global('session', session.id), session.device, 'PX', text(DAY)) end
end
return '{}'
`);

export const WRITE_STATE = script(String.raw`
call('SET', at(input.device, 'state'), input.state)
return '{}'
`);

/** `first`: how many there are already. */
export const WRITE_HOLDINGS = script(String.raw`
local key = at(input.device, 'events')
if input.first > 0 then call('LTRIM', key, 0, input.first - 1) else call('DEL', key) end
for _, holding in ipairs(input.holdings) do call('RPUSH', key, cjson.encode(holding)) end
return '{}'
`);

export const WRITE_DEVICE = script(String.raw`
local device = input.head
device.heard, device.asked, device.keepUntil = {}, {}, 0
for _, one in ipairs(input.heard) do device.heard[way_of(one)] = one.at end
for _, one in ipairs(input.asked) do device.asked[way_of(one)] = true end
for _, session in ipairs(all_sessions(device.id)) do
  device.keepUntil = math.max(device.keepUntil, kept_until(session))
end
-- when something of it ends, the next clean-up finds out
if retention > 0 then device.purgeAt = now end
save(device, true)
return '{}'
`);

export const WRITE_NAMES = script(
  IDENTITIES,
  NAMES,
  String.raw`
for _, one in ipairs(input.list) do
  local key = NAMED[input.unit](one.of)
  call('SET', key, one.device)
  lasts(key, now + KNOWN)
  if input.unit == 'link' then
    call('SADD', at(one.device, 'linked'), one.of)
    lasts(at(one.device, 'linked'), now + KNOWN)
  else
    call('ZADD', at(one.device, 'names'), text(one.seenAt), string.sub(key, #global('who', '') + 1))
    lasts(at(one.device, 'names'), now + KNOWN)
    keep_users(one.device)
  end
end
return '{}'
`,
);

export const WRITE_KEYS = script(
  IDENTITIES,
  NAMES,
  String.raw`
for _, one in ipairs(input.list) do
  local left = one.at + KEPT_KEYS - now
  local told = { device = one.device, id = one.id, session = one.session, status = 'answered' }
  if left > 0 then call('SET', NAMED.key(one.of), cjson.encode(told), 'PX', text(left)) end
end
return '{}'
`,
);

/** What it would draw next is more than the counter, and more than its clock. */
export const COUNTERS = script(String.raw`
return cjson.encode({ fence = text(math.max(tonumber(call('GET', input.prefix .. 'fence')) or 0, now)), id = text(math.max(tonumber(call('GET', input.prefix .. 'id')) or 0, now)) })
`);

export const RAISE = script(String.raw`
for _, name in ipairs({ 'fence', 'id' }) do
  local stands = tonumber(call('GET', input.prefix .. name)) or 0
  if tonumber(input[name]) > stands then call('SET', input.prefix .. name, input[name]) end
end
return '{}'
`);

/** Sets the mark, or notes that the move is done. */
export const MARK = script(String.raw`
local key = input.prefix .. 'move'
local found = call('GET', key)
local mark = found and cjson.decode(found) or { startedAt = now }
if mark.id ~= input.id then mark = { id = input.id, startedAt = now } end
if input.completed then mark.completedAt = now end
call('SET', key, cjson.encode(mark))
return cjson.encode(mark)
`);
