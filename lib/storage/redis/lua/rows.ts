/**
 * Messages, and replies to them. Of a device: `rows` has their facts, `texts` and `metadata` what was said, by id. Where
 * a row stands in the sorted sets follows from its status alone, and is mended whenever it is kept.
 */
export const ROWS = String.raw`
local KEPT_KEYS = 8 * DAY
local HEARD = 30 * DAY
local rows, placed, grown = {}, {}, {}

local function is_waiting(row) return row.status == 'waiting' end
-- Not out yet, as far as anybody knows.
local function is_unsettled(row)
  return row.status == 'pending' or row.status == 'sending' or row.status == 'unknown'
end
local function way_of(row) return cjson.encode({ row.channel, row.account }) end
local function is_same_way(a, b) return a.channel == b.channel and a.account == b.account end
local function by_sending(a, b)
  if a.sentAt ~= b.sentAt then return a.sentAt < b.sentAt end
  return a.id < b.id
end
local function by_place(a, b) return a.seq < b.seq end
local function sorted(list, before)
  table.sort(list, before)
  return list
end

-- What makes two deliveries one message, and what a channel calls a reply.
local function key_of(channel, account, id) return global('key', cjson.encode({ channel, account, id })) end
local function sent_key(row) return global('sent', cjson.encode({ row.channel, row.account, row.externalId })) end

-- All of a device's history in one set, by session and place.
local function said_member(session, seq, id) return session .. string.format(':%015d:', seq) .. id end

local function places_of(row)
  local places, id = {}, text(row.id)
  if is_waiting(row) then places[at(row.device, 'waiting:' .. row.lane)] = { row.id, id } end
  if is_unsettled(row) then places[at(row.device, 'unsettled')] = { row.seq, id } end
  if row.status == 'erased' then places[at(row.device, 'erased')] = { row.createdAt, id } end
  if row.status == 'failed' and row.role == 'user' then
    places[at(row.device, 'failed')] = { row.id, id }
    places[input.prefix .. 'failed'] = { row.id, row.device .. ':' .. id }
  end
  if row.seq then places[at(row.device, 'said')] = { 0, said_member(row.session, row.seq, id) } end
  return places
end

local function move(id, places)
  local before = placed[id] or {}
  for key, place in pairs(before) do
    if not places[key] or places[key][2] ~= place[2] then call('ZREM', key, place[2]) end
  end
  for key, place in pairs(places) do
    local old = before[key]
    if not old or old[1] ~= place[1] or old[2] ~= place[2] then
      call('ZADD', key, text(place[1]), place[2])
    end
  end
  placed[id] = places
end

local function remember(id, found)
  rows[id] = found and cjson.decode(found) or false
  placed[id] = rows[id] and places_of(rows[id]) or {}
end

-- In the order of their ids in the list, without those that are gone.
local function rows_of(device, ids)
  local missing = filter(ids, function(id) return rows[id] == nil end)
  local found = hmget(at(device, 'rows'), missing)
  for i, id in ipairs(missing) do remember(id, found[i]) end
  return filter(map(ids, function(id) return rows[id] end), function(row) return row end)
end
local function row_of(device, id) return rows_of(device, { id })[1] end
local function rows_at(device, name) return rows_of(device, call('ZRANGE', at(device, name), 0, -1)) end

local function keep(row)
  local id = text(row.id)
  call('HSET', at(row.device, 'rows'), id, cjson.encode(row))
  rows[id] = row
  if row.seq then grown[row.device .. row.session] = { row.device, row.session } end
  if row.externalId and not row.key then
    call('SET', sent_key(row), row.device .. ':' .. id, 'PX', text(HEARD))
  end
  move(id, places_of(row))
end

local function set_texts(row, content, metadata)
  local id = text(row.id)
  call('HSET', at(row.device, 'texts'), id, content)
  call('HSET', at(row.device, 'metadata'), id, metadata)
  -- as it goes over the wire
  row.bytes = #cjson.encode(content) + #metadata
end

local function write_row(row, content, metadata)
  row.id = draw('id')
  set_texts(row, content, metadata)
  keep(row)
  -- its own id goes out with a reply, and comes back with what the channel reports of it
  if row.answers then call('SET', global('reply', text(row.id)), row.device, 'PX', text(HEARD)) end
  return row
end

local function forget_texts(row)
  local id = text(row.id)
  call('HDEL', at(row.device, 'texts'), id)
  call('HDEL', at(row.device, 'metadata'), id)
end

local function take_out(row)
  local id = text(row.id)
  forget_texts(row)
  move(id, {})
  call('HDEL', at(row.device, 'rows'), id)
  rows[id] = false
  local written = row.fence and call('HGET', at(row.device, 'fences'), row.fence)
  if written and #rows_of(row.device, cjson.decode(written)) == 0 then
    call('HDEL', at(row.device, 'fences'), row.fence)
  end
end

-- Forgets a message, and that it ever came.
local function remove(row)
  take_out(row)
  if row.key then call('DEL', row.key) end
end

local function plan_purge(device, when) device.purgeAt = math.min(device.purgeAt or math.huge, when) end

-- Nothing stays of it but its key.
local function empty(row, device)
  forget_texts(row)
  row.status, row.seq, row.externalId, row.address, row.bytes = 'erased', nil, nil, {}, 0
  keep(row)
  plan_purge(device, row.createdAt + KEPT_KEYS)
end

-- Forgets rows, or all but their keys. Gives how many had words.
local function erase(device, list)
  local said = filter(list, function(row) return row.status ~= 'erased' end)
  for _, row in ipairs(said) do
    if not row.key or row.createdAt <= now - KEPT_KEYS then remove(row) else empty(row, device) end
  end
  return #said
end

local function said_in(device, session, last, count)
  local from = last and '(' .. session .. string.format(':%015d', last) or '(' .. session .. ';'
  local found = call('ZREVRANGEBYLEX', at(device, 'said'), from, '[' .. session .. ':', 'LIMIT', 0, count)
  return rows_of(device, map(found, function(member) return string.match(member, '%d+$') end))
end

local function waiting_in(device)
  local list = rows_at(device, 'waiting:builtin')
  for _, row in ipairs(rows_at(device, 'waiting:external')) do list[#list + 1] = row end
  return list
end

local function rows_in(device, session)
  local list = said_in(device, session, nil, -1)
  for _, name in ipairs({ 'waiting:builtin', 'waiting:external', 'failed', 'erased' }) do
    for _, row in ipairs(rows_at(device, name)) do
      if row.session == session then list[#list + 1] = row end
    end
  end
  return list
end

-- What is out of a session's last messages goes, but for what is not out yet; its key tells what became of it.
local function trim(device, session)
  local found = call('ZRANGEBYLEX', at(device, 'said'), '[' .. session .. ':', '(' .. session .. ';')
  local list = rows_of(device, map(found, function(member) return string.match(member, '%d+$') end))
  local over, bytes = #list - limits.kept, 0
  for _, row in ipairs(list) do bytes = bytes + row.bytes end
  for i, row in ipairs(list) do
    if (i > over and bytes <= limits.keptBytes) or i == #list then break end
    if not is_unsettled(row) then
      bytes = bytes - row.bytes
      take_out(row)
      if row.key and call('EXISTS', row.key) == 1 then
        local told = { device = row.device, id = text(row.id), session = row.session, status = row.status }
        call('SET', row.key, cjson.encode(told), 'KEEPTTL')
      end
    end
  end
end

-- As many from the start as fit into so many mebibytes, and the least in any case.
local function fitting(list, mebibytes, least)
  local bytes, some = 0, {}
  for i, row in ipairs(list) do
    bytes = bytes + row.bytes
    if i > least and bytes > mebibytes * 1024 * 1024 then break end
    some[i] = row
  end
  return some
end

local function view_messages(device, list)
  local ids = map(list, function(row) return text(row.id) end)
  local texts, metadata = hmget(at(device, 'texts'), ids), hmget(at(device, 'metadata'), ids)
  local views = {}
  for i, row in ipairs(list) do
    views[i] = {
      id = ids[i],
      messageId = row.externalId,
      role = row.role,
      content = texts[i] or '',
      agent = row.agent,
      metadata = metadata[i] or '{}',
      sentAt = row.sentAt,
      createdAt = row.createdAt,
    }
  end
  return views
end

-- A channel lets a business answer freely for a day after the person wrote.
local function view_replies(device, list)
  local views = view_messages(device.id, list)
  for i, row in ipairs(list) do
    local heard = device.heard[way_of(row)] or 0
    views[i].attempts = row.attempts
    views[i].address = row.address
    views[i].inWindow = row.status ~= 'sending' or heard > now - DAY
  end
  return views
end
`;
