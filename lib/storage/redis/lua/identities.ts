/** Who a sender is: `who:` leads from an identity to its device, `names` of the device back. */
export const IDENTITIES = String.raw`
local function name_of(place, kind, value) return cjson.encode({ place.channel, place.account, kind, value }) end

-- The device of an identity nobody has seen before: the same each time, and not to be guessed. A UUID version 8
-- (RFC 9562, 5.8) of a secret that Redis alone keeps.
local function device_of(place, kind, value)
  local key = input.prefix .. 'secret'
  call('SET', key, input.secret, 'NX')
  local secret = call('GET', key)
  local hash = redis.sha1hex(secret .. name_of(place, kind, value) .. secret)
  local variant = tonumber(string.sub(hash, 17, 17), 16) % 4 + 1
  return table.concat({
    string.sub(hash, 1, 8),
    string.sub(hash, 9, 12),
    '8' .. string.sub(hash, 14, 16),
    string.sub('89ab', variant, variant) .. string.sub(hash, 18, 20),
    string.sub(hash, 21, 32),
  }, '-')
end

local function leads_to(place, kind, value)
  if not value then return nil end
  local key = global('who', name_of(place, kind, value))
  local device = call('GET', key)
  if device then lasts(key, now + KNOWN) end
  return device or nil
end
local function lead(place, kind, value, device)
  local name = name_of(place, kind, value)
  local before = call('GET', global('who', name))
  if before then call('ZREM', at(before, 'names'), name) end
  call('SET', global('who', name), device)
  call('ZADD', at(device, 'names'), text(now), name)
  lasts(global('who', name), now + KNOWN)
  lasts(at(device, 'names'), now + KNOWN)
end
-- The user of a chat session. Where it is known it stays as it is: it is looked at once in a retention, as every name.
local function lead_user(device, channel, user)
  local place = { channel = channel, account = device }
  if call('ZSCORE', at(device, 'names'), name_of(place, 'user', user)) then return end
  lead(place, 'user', user, device)
  enter_user(user, device .. ':', now + KNOWN)
end
local function count_names(place, kind, device)
  local start = string.sub(name_of(place, kind, ''), 1, -3)
  return #filter(call('ZRANGE', at(device, 'names'), 0, -1), function(name)
    return string.sub(name, 1, #start) == start
  end)
end

-- The user id decides who it is. A phone that is still free leads to it; one that is somebody's own does not: two
-- people who share a phone stay two.
local function link_user(ids)
  if not ids.userId then return end
  local at_phone = leads_to(ids, 'phone', ids.phone)
  local person = leads_to(ids, 'user_id', ids.userId)
  if not person then
    local is_free = at_phone and count_names(ids, 'user_id', at_phone) == 0
    person = is_free and at_phone or device_of(ids, 'user_id', ids.userId)
    lead(ids, 'user_id', ids.userId, person)
  end
  if not ids.phone or not at_phone or person == at_phone then return end
  local has_none = count_names(ids, 'phone', person) == 0
  local is_moved
  if count_names(ids, 'user_id', at_phone) == 0 then
    -- nobody's: it is theirs if they have no other, or nobody has ever written with it
    is_moved = has_none or call('EXISTS', at(at_phone, 'device')) == 0
  else
    -- the old one of somebody who has a newer one
    is_moved = has_none and count_names(ids, 'phone', at_phone) > 1
  end
  if is_moved then lead(ids, 'phone', ids.phone, person) end
end

-- Whatever the order of a batch, who is new in it becomes the same device.
local function order_of(ids)
  return table.concat({ ids.channel, ids.account, ids.userId or '\255', ids.phone or '\255' }, '\0')
end
local function in_order(a, b) return order_of(a) < order_of(b) end

-- The user id decides: a phone number changes hands.
local function resolve(ids)
  return leads_to(ids, 'user_id', ids.userId) or leads_to(ids, 'phone', ids.phone)
end

-- What is left of a message whose words were erased.
local function erased_row(message)
  local row = known_by(key_of(message.channel, message.account, message.externalId))
  return row and row.status == 'erased' and row or nil
end

-- First each number that nobody has seen, then the user ids, then the ids that have become others.
local function link(messages)
  local named = filter(messages, function(message)
    -- a redelivery of what was erased must not bring its sender's ids back
    return message.kind == 'person' and not erased_row(message)
  end)
  for _, ids in ipairs(named) do
    -- told again days later, the number may be somebody else's
    ids.isNews = ids.becomes and call('EXISTS', key_of(ids.channel, ids.account, ids.externalId)) == 0
    if ids.phone and not leads_to(ids, 'phone', ids.phone) then lead(ids, 'phone', ids.phone, device_of(ids, 'phone', ids.phone)) end
    local phone = ids.isNews and ids.becomes.phone
    if phone and not leads_to(ids, 'phone', phone) then lead(ids, 'phone', phone, device_of(ids, 'phone', phone)) end
  end
  for _, ids in ipairs(sorted(first_of(named, #named), in_order)) do link_user(ids) end
  for _, ids in ipairs(named) do
    local device = ids.isNews and resolve(ids)
    if device then
      if ids.becomes.userId then lead(ids, 'user_id', ids.becomes.userId, device) end
      if ids.becomes.phone then lead(ids, 'phone', ids.becomes.phone, device) end
    end
  end
end

-- nil: of a chat session nobody knows or that is not its owner's, or of a sender without any identity.
local function device_of_sender(message)
  if message.kind == 'device' then return linked_to(message.device) end
  if message.kind == 'person' then
    local erased = erased_row(message)
    local device = erased and erased.device or resolve(message)
    return device and (erased and device or linked_to(device))
  end
  local session = session_of(message.session)
  if not session or (message.owner and linked_to(message.owner) ~= session.device) then return nil end
  return session.device
end

-- Where replies go. A number that is known as somebody else's is no way to this sender.
local function address_of(device, message)
  if message.kind ~= 'person' then return {} end
  local at_phone = leads_to(message, 'phone', message.phone)
  local is_own = at_phone and linked_to(at_phone) == device
  return { user_id = message.userId, phone = is_own and (message.dial or message.phone) or nil }
end
`;
