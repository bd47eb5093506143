/*
 * What Redis runs, each in one piece and on the primary, never on a replica that lags behind.
 *
 * KEYS[1] is the key of all entries, the others are entries. An entry is a hash:
 *   value      what a reader may be given
 *   gen        names the time since which no writer was here; who fills an entry must have found it under this name
 *   era        the `gen` of KEYS[1] at that time
 *   m:<token>  the intent of a writer, and until when (ms) it counts
 * KEYS[1] has `gen` and marks only: those of writers that do not know yet which entries they change.
 * ARGV[1] is a token that nobody used before.
 */

/**
 * `marks`: how many intents stand. One that lapsed was left by a writer that died. Nobody knows whether it wrote, so
 * what was read before counts no more.
 */
const common = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function marks(key)
  local live = 0
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 2) == 'm:' then
      if tonumber(redis.call('HGET', key, field)) > now then
        live = live + 1
      else
        redis.call('HDEL', key, field, 'value')
        redis.call('HSET', key, 'gen', ARGV[1])
      end
    end
  end
  return live
end
local busy = marks(KEYS[1])
local era = redis.call('HGET', KEYS[1], 'gen') or ''
`;

/**
 * ARGV: token, ms for which a reader that finds nothing may fill the entry. Gives `{hit, now, value}`, `{miss, now,
 * gen}`, or `{busy}`: a writer is at work, ask the database and keep nothing.
 */
export const FIND = `${common}
if busy > 0 or marks(KEYS[2]) > 0 then return {'busy'} end
local entry = redis.call('HMGET', KEYS[2], 'value', 'gen', 'era')
if entry[3] == era and entry[1] then return {'hit', now, entry[1]} end
if entry[3] == era and entry[2] then return {'miss', now, entry[2]} end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'gen', ARGV[1], 'era', era)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'miss', now, ARGV[1]}`;

/** ARGV: token, the gen that was found, value, its end. Does nothing where a writer was here since: it renamed the gen. */
export const FILL = `${common}
if tonumber(ARGV[4]) > now then
  local entry = redis.call('HMGET', KEYS[2], 'gen', 'era')
  if entry[1] == ARGV[2] and entry[2] == era then
    redis.call('HSET', KEYS[2], 'value', ARGV[3])
    redis.call('PEXPIREAT', KEYS[2], ARGV[4])
  end
end`;

/**
 * ARGV: token, ms for which the intent counts. Marks the entries, or where there are none all of them. Gives the time.
 * An hour: should the writer die, that must be found out before the last entry of before has ended.
 */
export const MARK = `${common}
for i = 2, #KEYS do
  if marks(KEYS[i]) > 0 then
    redis.call('HDEL', KEYS[i], 'value')
  else
    redis.call('DEL', KEYS[i])
  end
  redis.call('HSET', KEYS[i], 'gen', ARGV[1], 'm:' .. ARGV[1], now + ARGV[2])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
if #KEYS == 1 then
  redis.call('HSET', KEYS[1], 'm:' .. ARGV[1], now + ARGV[2])
  redis.call('PEXPIRE', KEYS[1], 3600000)
end
return now`;

/**
 * ARGV: token of the mark. Empties the entries, or where there are none all of them, whether the mark still stands or
 * not: the next reader asks the database, once no other writer is at work.
 */
export const SETTLE = `${common}
for i = 2, #KEYS do
  redis.call('HDEL', KEYS[i], 'm:' .. ARGV[1], 'value')
  if marks(KEYS[i]) == 0 then
    redis.call('DEL', KEYS[i])
  else
    redis.call('HSET', KEYS[i], 'gen', ARGV[1])
  end
end
redis.call('HDEL', KEYS[1], 'm:' .. ARGV[1])
if #KEYS == 1 then
  redis.call('HSET', KEYS[1], 'gen', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 3600000)
end`;
