/** Chat sessions: `sessions` and `session-metadata` of their device, found by their id and by their user. */
export const SESSIONS = String.raw`
local function session_at(device, id)
  local found = call('HGET', at(device, 'sessions'), id)
  return found and cjson.decode(found) or nil
end
local function session_of(id)
  local device = call('GET', global('session', id))
  return device and session_at(device, id) or nil
end

-- Until when it must be kept: while it lives, and for the retention after what was said last.
local function kept_until(session) return math.max(session.lastActivity + retention, session.expiresAt) end

local function keep_session(session, device)
  call('HSET', at(session.device, 'sessions'), session.id, cjson.encode(session))
  local until_ms = kept_until(session)
  call('SET', global('session', session.id), session.device)
  lasts(global('session', session.id), until_ms)
  if session.user then enter_user(session.user, session.device .. ':' .. session.id, until_ms) end
  device.keepUntil = math.max(device.keepUntil, until_ms)
  -- a session that lives longer than its purge was planned for is looked at in vain, once
  if retention > 0 then plan_purge(device, until_ms) end
end

-- Of a sender, or of a user.
local function forget_name(name)
  local _, device, kind, value = unpack(cjson.decode(name))
  call('DEL', global('who', name))
  if kind == 'user' then call('SREM', global('user', value), device .. ':') end
end

local function drop_session(session)
  call('HDEL', at(session.device, 'sessions'), session.id)
  call('HDEL', at(session.device, 'session-metadata'), session.id)
  call('DEL', global('session', session.id))
  if session.user then call('SREM', global('user', session.user), session.device .. ':' .. session.id) end
end

-- given: id, user, channel, metadata, ttl
local function begin_session(device, given)
  local session = {
    id = given.id,
    device = device.id,
    user = given.user,
    channel = given.channel,
    ttl = given.ttl,
    complete = false,
    messageCount = 0,
    createdAt = now,
    lastActivity = now,
    expiresAt = now + (given.ttl or limits.sessionTtl) * 1000,
  }
  call('HSET', at(device.id, 'session-metadata'), session.id, given.metadata)
  keep_session(session, device)
  device.session = { id = session.id, endsAt = session.expiresAt }
  return session
end

-- One that is complete is its device's current one no more.
local function touch_session(device, session)
  local ttl = session.complete and limits.completedTtl or session.ttl or limits.sessionTtl
  session.lastActivity = now
  session.expiresAt = now + ttl * 1000
  if device.session and device.session.id == session.id then
    device.session = not session.complete and { id = session.id, endsAt = session.expiresAt } or nil
  end
  keep_session(session, device)
end

-- The running one, its life begun anew, or a new one where that is over.
local function open_session(device, channel, fresh)
  local current = device.session
  local running = current and current.endsAt > now and session_at(device.id, current.id)
  if not running then return begin_session(device, { id = fresh, channel = channel, metadata = '{}' }).id end
  touch_session(device, running)
  return running.id
end

local function view_session(session, metadata)
  return {
    id = session.id,
    device = session.device,
    user = session.user,
    channel = session.channel,
    metadata = metadata or call('HGET', at(session.device, 'session-metadata'), session.id) or '{}',
    complete = session.complete,
    messageCount = session.messageCount,
    createdAt = session.createdAt,
    lastActivity = session.lastActivity,
    expiresAt = session.expiresAt,
  }
end

-- One that is over is absent, unless it is asked for; so is one of another device.
local function session_in_reach(id, owner, include_expired)
  local session = session_of(id)
  if not session or (owner and session.device ~= linked_to(owner)) then return nil end
  return (include_expired or session.expiresAt > now) and session or nil
end

local function all_sessions(device) return map(call('HVALS', at(device, 'sessions')), cjson.decode) end

local function sessions_in(scope)
  local list, device = {}, scope.device and linked_to(scope.device)
  if scope.user then
    local key = global('user', scope.user)
    for _, member in ipairs(call('SMEMBERS', key)) do
      local id = string.sub(member, 38)
      local session = id ~= '' and session_at(string.sub(member, 1, 36), id)
      if session then list[#list + 1] = session elseif id ~= '' then call('SREM', key, member) end
    end
  else
    list = all_sessions(device)
  end
  return filter(list, function(session)
    local living = session.expiresAt > now
    return (not device or session.device == device)
      and (scope.includeExpired or living)
      and (scope.active == nil or scope.active == (living and not session.complete))
  end)
end

local function latest_first(a, b)
  if a.lastActivity ~= b.lastActivity then return a.lastActivity > b.lastActivity end
  return a.id > b.id
end
local LISTED_METADATA = 4096
local function view_listed(session)
  local view = view_session(session)
  if #view.metadata > LISTED_METADATA then view.metadata = nil end
  return view
end
`;
