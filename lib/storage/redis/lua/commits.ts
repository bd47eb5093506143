/** Everything a turn writes. */
export const COMMITS = String.raw`
-- The ids of what was answered and said under a fence, in the order of their places.
local function note_written(device, fence, list)
  call('HSET', at(device.id, 'fences'), fence, cjson.encode(map(list, function(row) return text(row.id) end)))
end
local function written_under(device, fence)
  local found = call('HGET', at(device.id, 'fences'), fence)
  local list = rows_of(device.id, found and cjson.decode(found) or {})
  return sorted(filter(list, function(row) return row.seq ~= nil end), by_place)
end

local function next_place(device)
  device.lastSeq = device.lastSeq + 1
  return device.lastSeq
end

-- The replies as they are stored; the last message says where the person is now.
local function write_replies(device, grant, answered, is_blocked)
  local last, list, content = answered[#answered], {}, input.content
  if not last then return list end
  local live = live_holding(device)
  local ids = map(answered, function(row) return text(row.id) end)
  for i, reply in ipairs(content.replies) do
    if reply.reopens then device.asked[way_of(last)] = true end
    list[i] = write_row({
      device = device.id,
      session = last.session,
      seq = next_place(device),
      role = 'assistant',
      agent = reply.agent or live and live.agent or nil,
      channel = last.channel,
      account = last.account,
      lane = grant.lane,
      address = last.address,
      status = not content.deliver and 'sent' or is_blocked and 'pending' or 'sending',
      answers = ids,
      fence = grant.fence,
      attempts = is_blocked and 0 or 1,
      claimEndsAt = is_blocked and now or now + input.leaseMs,
      sentAt = now,
      createdAt = now,
    }, reply.content, reply.metadata)
  end
  return list
end

local function move_lock(device, move)
  local live = live_holding(device)
  if move['do'] == 'set' then
    hold(device, move.agent, move.ttl)
  elseif move['do'] == 'clear' then
    clear_lock(device)
  elseif move['do'] == 'renew' and live then
    hold(device, live.agent, move.ttl or live.sessionTtl)
  end
end

local function write(device, grant, state)
  local content = input.content
  -- none may overtake an earlier one that is not out yet
  local is_blocked = content.deliver and call('ZCARD', at(device.id, 'unsettled')) > 0
  local answered = sorted(filter(rows_of(device.id, grant.handed), is_waiting), by_sending)
  for _, row in ipairs(answered) do
    row.status, row.seq, row.fence, row.error = 'answered', next_place(device), grant.fence, nil
    device.asked[way_of(row)] = nil
    keep(row)
  end
  local replies = write_replies(device, grant, answered, is_blocked)
  local last = answered[#answered]
  local session = last and session_at(device.id, last.session)
  if session then
    session.messageCount = session.messageCount + #answered + #replies
    session.complete = session.complete or content.complete == true
    touch_session(device, session)
  end
  if state then write_state(device, state) end
  grant.endsAt = #replies > 0 and content.deliver and not is_blocked and now + input.leaseMs or nil
  grant.handed = {}
  device.committed = { fence = grant.fence, hash = input.hash }

  -- a lock that somebody else moved since the grant stands
  if device.lockVersion == grant.lockVersion then move_lock(device, content.lock) end
  local holder = live_holding(device)
  for _, row in ipairs(answered) do
    row.holder = holder and holder.agent or nil
    keep(row)
  end
  if last then
    local all = first_of(answered, #answered)
    for _, row in ipairs(replies) do all[#all + 1] = row end
    note_written(device, grant.fence, all)
  end
end
`;
