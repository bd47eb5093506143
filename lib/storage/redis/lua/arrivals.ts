/** How messages come in. */
export const ARRIVALS = String.raw`
-- A sender's clock that is further off makes no sense.
local OLDEST, AHEAD = 30 * DAY, 600000

local function plausible(told)
  return told and told >= now - OLDEST and told <= now + AHEAD and told or now
end

-- Milliseconds of messages that may be let in ahead.
local SPAN = 60000

-- What a limit has left: a generic cell rate algorithm, each message counting for a minute's part.
local function rate_of(device, per_minute)
  local ahead, each = math.max(0, tonumber(device.rateUntil or 0) - now), SPAN / per_minute
  return {
    left = math.max(0, math.floor((SPAN - ahead) / each + 0.001)),
    resetMs = math.ceil(ahead),
    retryMs = math.ceil(math.max(0, ahead + each - SPAN)),
  }
end

-- As a text: cjson prints fourteen digits, and a minute's part may be less than a millisecond.
local function count_message(device, per_minute)
  device.rateUntil = string.format('%.6f', math.max(tonumber(device.rateUntil or 0), now) + SPAN / per_minute)
end

local function new_row(device, message, account, session, key)
  local row = write_row({
    device = device.id,
    session = session,
    role = message.byHuman and 'assistant' or 'user',
    agent = message.byHuman and HUMAN or nil,
    channel = message.channel,
    account = account,
    lane = input.terms.lane,
    externalId = message.externalId,
    key = key,
    address = address_of(device.id, message),
    requestId = input.terms.requestId,
    status = 'waiting',
    attempts = 0,
    claimEndsAt = 0,
    sentAt = plausible(message.sentAt),
    createdAt = now,
  }, message.content, message.metadata)
  local told = { device = device.id, id = text(row.id), session = session }
  call('SET', key, cjson.encode(told), 'PX', text(KEPT_KEYS))
  if row.role == 'user' then
    local way = way_of(row)
    device.heard[way] = math.max(device.heard[way] or 0, row.sentAt)
  end
  return row
end

-- Stores a message, unless it was stored before or may not be. Only a new one is a sign of life.
local function store_once(device, message)
  local account = message.account == '' and device.id or message.account
  local key = key_of(message.channel, account, message.externalId)
  local arrival = { device = device, message = message }
  local session = message.session and session_of(message.session)
  -- a session that is over is absent, also to a message that it took before
  if message.session and (not session or session.expiresAt <= now) then
    arrival.refused = 'session_not_found'
    return arrival
  end
  arrival.row = known_by(key)
  if arrival.row then return arrival end
  if session and session.complete then
    arrival.refused = 'session_complete'
  elseif message.maxWaiting then
    -- in bytes no more than the history: what waits lies in the same few keys, and is never trimmed
    local waiting, bytes = waiting_in(device.id), #message.content + #message.metadata
    for _, row in ipairs(waiting) do bytes = bytes + row.bytes end
    if #waiting >= message.maxWaiting or (#waiting > 0 and bytes > limits.keptBytes) then arrival.refused = 'rate_limited' end
  end
  if not arrival.refused and message.perMinute then
    if rate_of(device, message.perMinute).left == 0 then
      arrival.refused = 'too_fast'
    else
      count_message(device, message.perMinute)
    end
  end
  if arrival.refused then return arrival end
  local thread = message.session
  if session then touch_session(device, session) else thread = open_session(device, message.channel, message.begins) end
  arrival.row = new_row(device, message, account, thread, key)
  arrival.isNew = true
  local within = message.answerWithin
  arrival.inTime = not within or arrival.row.sentAt > now - within * 1000
  return arrival
end

-- An operator's longer hold is not cut short.
local function hold_by_human(device, ttl)
  local live = live_holding(device)
  if live and live.agent == HUMAN and live.expiresAt > now + ttl * 1000 then return end
  hold(device, HUMAN, ttl)
end

local function mark_deleted(device, message)
  local row = known_by(key_of(message.channel, message.account, message.revokes))
  if not row or row.device ~= device.id or row.status == 'erased' then return end
  local id = text(row.id)
  local content = call('HGET', at(device.id, 'texts'), id)
  set_texts(row, content, merged(call('HGET', at(device.id, 'metadata'), id), '{"deleted":true}'))
  keep(row)
end

-- What arrivals do beside waiting: some only enter the history, one a person has said holds the conversation.
local function note_arrivals(arrivals)
  local fresh, noted = filter(arrivals, function(one) return one.isNew end), {}
  for _, one in ipairs(fresh) do
    local message, id = one.message, one.device.id
    if message.turn == false or message.byHuman or not one.inTime then
      noted[id] = noted[id] or { device = one.device, rows = {} }
      table.insert(noted[id].rows, one.row)
    end
  end
  for _, of in pairs(noted) do enter_history(of.device, of.rows, nil) end
  for _, one in ipairs(fresh) do
    local human = one.message.byHuman
    if human and human.ttlSeconds and one.inTime then hold_by_human(one.device, human.ttlSeconds) end
    if one.message.revokes then mark_deleted(one.device, one.message) end
  end
  for _, one in ipairs(arrivals) do record_under_human(one.device) end
end

local function view_arrival(arrival)
  local row, message = arrival.row, arrival.message
  local view = { index = message.index, device = arrival.device.id, refused = arrival.refused }
  if row then
    view.id = text(row.id)
    view.messageId = row.status == 'erased' and '' or row.externalId or message.externalId
    view.sessionId, view.status = row.session, row.status
    view.duplicate = row.requestId ~= input.terms.requestId
  end
  return view
end

local function store(messages)
  local arrivals = {}
  for _, message in ipairs(messages) do
    local device = device_of_sender(message)
    if device then
      arrivals[#arrivals + 1] = store_once(ensure(device), message)
      -- who wrote is looked at in a retention, whether anything is kept of them still
      if message.kind == 'person' and retention > 0 then plan_purge(opened[device], now + retention) end
    end
  end
  note_arrivals(arrivals)
  -- told as they arrived: whose turn that fell is taken over now may be set aside by it
  return map(arrivals, view_arrival)
end

local function take(messages, terms)
  local list, last = {}, {}
  for _, message in ipairs(messages) do
    local device = device_of_sender(message)
    if device then
      if not last[device] then list[#list + 1] = ensure(device) end
      last[device] = message
    end
  end
  local turns = take_turns(sorted(list, by_device), terms)
  return map(list, function(device)
    local turn = find(turns, function(one) return one.device == device.id end)
    return {
      device = device.id,
      lock = view_lock(device),
      waiting = not turn and waits_in(device, terms.lane),
      turn = turn,
      rate = last[device.id].perMinute and rate_of(device, last[device.id].perMinute) or nil,
    }
  end)
end
`;
