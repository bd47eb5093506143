/** One worker's exclusive right to a device. */
export const TURNS = String.raw`
-- Messages that one turn is handed at most, and replies that it sends.
local MOST = 100

-- The owner's name of a turn that was kept by the write which ended the one before.
local function after(fence) return 'after:' .. fence end

local function sending_in(device)
  return filter(rows_at(device.id, 'unsettled'), function(row) return row.status == 'sending' end)
end

-- Gives how often those have failed that still wait; nil: none of them does.
local function count_attempt(device, ids, failure)
  local most = nil
  for _, row in ipairs(filter(rows_of(device.id, ids), is_waiting)) do
    row.attempts = row.attempts + 1
    row.error = failure
    if row.attempts >= limits.maxAttempts then row.status = 'failed' else most = math.max(most or 0, row.attempts) end
    keep(row)
  end
  return most
end

-- Whoever had the turn let it fall: nobody knows the fate of what it was sending; what it had to answer it failed.
local function note_lapse(device)
  local grant = device.grant
  if not grant or not grant.endsAt then return end
  if is_sending(device) then
    for _, row in ipairs(sending_in(device)) do
      row.status = 'unknown'
      row.claimEndsAt = grant.endsAt + limits.resendAfterMs
      keep(row)
    end
  else
    count_attempt(device, grant.handed, 'lease_expired')
  end
  grant.endsAt, grant.handed = nil, {}
end

-- The head of the queue as far as it is due and goes the same way: no reply may overtake an earlier one.
local function due_replies(device)
  local queue, due = rows_of(device.id, call('ZRANGE', at(device.id, 'unsettled'), 0, MOST - 1)), {}
  for i, row in ipairs(queue) do
    if row.claimEndsAt > now or not is_same_way(row, queue[1]) then break end
    due[i] = row
  end
  return due
end

-- The oldest message of the lane, and what waits with it in its session, channel and account.
local function oldest_waiting(device, lane)
  local waiting = rows_at(device.id, 'waiting:' .. lane)
  local first = waiting[1]
  local together = filter(waiting, function(row)
    return row.session == first.session and is_same_way(row, first)
  end)
  return fitting(first_of(together, MOST), 2, 1)
end

local function history_of(device, session, lane)
  local newest, last = {}, nil
  repeat
    local part = said_in(device.id, session, last, MOST)
    for _, row in ipairs(part) do
      if row.lane == lane and #newest < limits.history then newest[#newest + 1] = row end
      last = row.seq
    end
  until #part < MOST or #newest >= limits.history
  return reversed(fitting(newest, 1, 0))
end

-- Everything its holder works from: what it has to answer, or to send, and what was said before.
local function view_turn(device, grant)
  local replies = is_sending(device) and sending_in(device) or {}
  local handed = filter(rows_of(device.id, grant.handed), is_waiting)
  local first = replies[1] or handed[1]
  -- the channel has told what became of its replies before its worker did
  if not first then return nil end
  local history = #replies == 0 and history_of(device, first.session, first.lane) or {}
  local state = call('GET', at(device.id, 'state'))
  return {
    device = device.id,
    fence = grant.fence,
    expiresAt = grant.endsAt or now,
    sessionId = first.session,
    channel = first.channel,
    account = first.account,
    address = first.address,
    lock = view_lock(device),
    state = state or '{}',
    stateVersion = state and device.stateVersion or nil,
    messages = view_messages(device.id, sorted(handed, by_sending)),
    history = view_messages(device.id, history),
    replies = view_replies(device, replies),
  }
end

-- Gives the device's turn if it is free and there is something to do. Replies that are due go first.
local function take_turn(device, owner, lane, lease_ms)
  if is_held(device) then
    -- the answer to this very call was lost: it gets its turn again
    return device.grant.owner == owner and view_turn(device, device.grant) or nil
  end
  note_lapse(device)
  local replies = lane == 'builtin' and due_replies(device) or {}
  local handed = #replies == 0 and oldest_waiting(device, lane) or {}
  if #replies == 0 and #handed == 0 then return nil end
  local grant = {
    fence = draw_fence(),
    owner = owner,
    lane = lane,
    endsAt = now + lease_ms,
    handed = map(handed, function(row) return text(row.id) end),
    lockVersion = device.lockVersion,
    stateVersion = device.stateVersion,
  }
  device.grant = grant
  if #replies > 0 then device.committed = { fence = grant.fence } end
  for _, row in ipairs(replies) do
    row.status, row.attempts, row.claimEndsAt = 'sending', row.attempts + 1, grant.endsAt
    keep(row)
  end
  return view_turn(device, grant)
end

local function waits_in(device, lane) return call('ZCARD', at(device.id, 'waiting:' .. lane)) > 0 end
-- What a worker that fell was sending becomes unknown by a look.
local function may_deliver(device)
  return find(rows_at(device.id, 'unsettled'), function(row)
    return row.status == 'sending' or row.claimEndsAt <= now
  end) ~= nil
end

-- Turns of these devices, in this order; first those that an earlier try of the same call took.
local function take_turns(list, terms)
  local function is_own(device) return is_held(device) and device.grant.owner == terms.requestId end
  local ordered, turns = filter(list, is_own), {}
  for _, device in ipairs(list) do
    if not is_own(device) then ordered[#ordered + 1] = device end
  end
  for _, device in ipairs(ordered) do
    if #turns >= terms.maxTurns then break end
    local turn = take_turn(device, terms.requestId, terms.lane, terms.leaseMs)
    if turn then turns[#turns + 1] = turn end
  end
  return turns
end
local function by_device(a, b) return a.id < b.id end
`;
