/** The active-agent lock, and what a person's hold does to the rest. */
export const LOCKS = String.raw`
local HUMAN = 'human'
local EVENTS = 1000

local function live_holding(device)
  local holding = device.holding
  return holding and holding.expiresAt > now and holding or nil
end
local function view_lock(device)
  local holding = live_holding(device)
  if not holding then return nil end
  return {
    agent = holding.agent,
    lockedAt = holding.lockedAt,
    expiresAt = holding.expiresAt,
    sessionTtl = holding.sessionTtl,
    version = device.lockVersion,
  }
end

-- Takes the holding away and notes it in the timeline.
local function end_holding(device, reason)
  local holding = device.holding
  if not holding then return end
  local ended = math.min(now, holding.expiresAt)
  local event = { agent = holding.agent, startedAt = holding.lockedAt, endedAt = ended, reason = reason }
  call('RPUSH', at(device.id, 'events'), cjson.encode(event))
  call('LTRIM', at(device.id, 'events'), -EVENTS, -1)
  if retention > 0 then plan_purge(device, ended + retention) end
  device.holding = nil
end

-- Enters messages into the history without a turn; the holder, if anybody, holds the conversation.
local function enter_history(device, list, holder)
  for _, row in ipairs(sorted(list, by_sending)) do
    device.lastSeq = device.lastSeq + 1
    row.status, row.holder, row.seq = 'recorded', holder, device.lastSeq
    keep(row)
    if row.role == 'user' then device.asked[way_of(row)] = nil end
    local session = session_at(device.id, row.session)
    if session then
      session.messageCount = session.messageCount + 1
      session.lastActivity = now
      keep_session(session, device)
    end
  end
end

-- While a person holds the conversation nothing waits.
local function record_under_human(device)
  local holding = live_holding(device)
  if holding and holding.agent == HUMAN then enter_history(device, waiting_in(device.id), HUMAN) end
end

local function revoke(grant)
  grant.fence, grant.owner, grant.endsAt, grant.handed = draw_fence(), nil, nil, {}
end

-- A worker at its answer loses the turn; one that has committed is only sending what stands there, and may settle it.
local function hand_to_person(device)
  record_under_human(device)
  local grant = device.grant
  if not grant or not grant.endsAt or is_sending(device) then return end
  revoke(grant)
end

-- The same live holder goes on under its version; every other one begins a new holding.
local function hold(device, agent, ttl)
  local ends, live = now + ttl * 1000, live_holding(device)
  if live and live.agent == agent then
    live.expiresAt, live.sessionTtl = ends, ttl
    return
  end
  end_holding(device, live and 'handed_over' or 'expired')
  device.holding = { agent = agent, lockedAt = now, expiresAt = ends, sessionTtl = ttl }
  device.lockVersion = draw_fence()
  if agent == HUMAN then hand_to_person(device) end
end

-- A lapsed holding was moved by nobody, and keeps its version.
local function clear_lock(device)
  if not live_holding(device) then return end
  end_holding(device, 'cleared')
  device.lockVersion = draw_fence()
end

local function allows(guard, version)
  if guard.kind == 'none' then return true end
  if guard.kind == 'absent' then return version == nil end
  if version == nil then return false end
  return #guard.versions == 0 or find(guard.versions, function(one) return one == version end) ~= nil
end
`;
