/**
 * What every script begins with. ARGV[1] is all of its input as one JSON text; documents in it (states, metadata) are
 * texts of their own, which no script but `documents.ts` looks into: cjson would turn `[]` into `{}` and round numbers.
 */
export const BASE = String.raw`
local call = redis.call
local input = cjson.decode(ARGV[1])
local limits = input.limits
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
local retention = limits.retentionDays * DAY

-- as %.14g prints them, numbers of 13 digits are whole
local function text(number) return string.format('%.0f', number) end

-- Keys of a device that this script has to do with, and may have made.
local named = {}
local function at(device, name)
  named[device] = named[device] or {}
  named[device][name] = true
  return input.prefix .. '{' .. device .. '}:' .. name
end
local function global(name, of) return input.prefix .. name .. ':' .. of end

-- Grows also where Redis has lost its last writes in a failover, or everything: the clock has gone on meanwhile.
local function draw(counter)
  local key = input.prefix .. counter
  local drawn = math.max((tonumber(call('GET', key)) or 0) + 1, now)
  call('SET', key, text(drawn))
  return drawn
end
local function draw_fence() return text(draw('fence')) end

-- Slides with use; where everything is kept for ever, nothing ends by itself.
local function lasts(key, until_ms)
  if retention > 0 then call('PEXPIREAT', key, text(until_ms)) end
end

-- A lock may outlast the retention by thirty days, and whose it is must still be known.
local KNOWN = retention + 31 * DAY

-- The device whose conversation a device shares; itself where it was never linked.
local function linked_to(id)
  local key = global('link', id)
  local target = call('GET', key)
  if target then lasts(key, now + KNOWN) end
  return target or id
end

-- More arguments at once than this overflow Lua's stack.
local MANY = 1000
local function hmget(key, fields)
  local values = {}
  for first = 1, #fields, MANY do
    local part = call('HMGET', key, unpack(fields, first, math.min(first + MANY - 1, #fields)))
    for i = 1, #part do values[first + i - 1] = part[i] end
  end
  return values
end

local function filter(list, fits)
  local kept = {}
  for _, one in ipairs(list) do
    if fits(one) then kept[#kept + 1] = one end
  end
  return kept
end
local function map(list, make)
  local made = {}
  for i, one in ipairs(list) do made[i] = make(one) end
  return made
end
local function find(list, fits)
  for _, one in ipairs(list) do
    if fits(one) then return one end
  end
  return nil
end
local function first_of(list, count)
  local some = {}
  for i = 1, math.min(count, #list) do some[i] = list[i] end
  return some
end
local function reversed(list)
  local back = {}
  for i = #list, 1, -1 do back[#back + 1] = list[i] end
  return back
end
`;
