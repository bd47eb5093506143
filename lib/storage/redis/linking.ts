import type { Storage } from '../storage.ts';
import { ERASING } from './lua/erasing.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type Told } from './views.ts';

const OFFER = script(
  ERASING,
  String.raw`
local device = ensure(linked_to(input.device))
take_code(device.id)
local ends, given = now + input.seconds * 1000, nil
for _, code in ipairs(input.codes) do
  local key = global('code', code)
  local stands = call('GET', key)
  if not given and (not stands or cjson.decode(stands).endsAt <= now) then
    given = code
    local link = { device = device.id, endsAt = ends }
    call('SET', key, cjson.encode(link), 'PX', text(math.max(1, ends - now)))
  end
end
device.code = given
finish()
return cjson.encode({ now = now, code = given, expiresAt = ends })
`,
);

// wrong tries are counted by device; so many as all may have are looked through at most
const REDEEM = script(
  ERASING,
  String.raw`
local id, tries = input.device, input.prefix .. 'tries'
ensure(id)
local own, all = { count = 0, since = now }, 0
local counts = call('HGETALL', tries)
for i = 1, #counts, 2 do
  local tried = cjson.decode(counts[i + 1])
  if tried.since <= now - input.seconds * 1000 then
    call('HDEL', tries, counts[i])
  else
    all = all + tried.count
    if counts[i] == id then own = tried end
  end
end
local function told(outcome)
  finish()
  return cjson.encode({ now = now, outcome = outcome })
end
if own.count >= input.own or all >= input.all then return told('too_many') end
local key = global('code', input.code)
local found = call('GET', key)
local link = found and cjson.decode(found)
if not link or link.endsAt <= now or (link.redeemedBy or id) ~= id then
  own.count = own.count + 1
  call('HSET', tries, id, cjson.encode(own))
  return told('invalid')
end
if link.device == id then return told('own') end
local function join(guest)
  local before = call('GET', global('link', guest))
  if before then call('SREM', at(before, 'linked'), guest) end
  call('SET', global('link', guest), link.device)
  call('SADD', at(link.device, 'linked'), guest)
  lasts(global('link', guest), now + KNOWN)
end
for _, guest in ipairs(call('SMEMBERS', at(id, 'linked'))) do join(guest) end
join(id)
lasts(at(link.device, 'linked'), now + KNOWN)
link.redeemedBy = id
call('SET', key, cjson.encode(link), 'PX', text(link.endsAt - now))
take_code(id)
call('HDEL', tries, id)
return told('linked')
`,
);

const UNLINK = script(
  ERASING,
  String.raw`
local id, guests = input.device, nil
local host = call('GET', global('link', id))
if host then
  guests = { id }
else
  host, guests = id, call('SMEMBERS', at(id, 'linked'))
end
for _, guest in ipairs(guests) do
  call('DEL', global('link', guest))
  call('SREM', at(host, 'linked'), guest)
end
take_code(id)
finish()
return cjson.encode({ now = now, unlinked = #guests })
`,
);

type Outcome = Awaited<ReturnType<Storage['redeemLink']>>['outcome'];

/** Devices that share one conversation. */
export function linkingOperations({
  run,
}: Runner): Pick<Storage, 'offerLink' | 'redeemLink' | 'unlink'> {
  return {
    async offerLink(device, codes, seconds) {
      const told = await run(OFFER, { device, codes, seconds });
      const { now, code, expiresAt } = told as Told<{ code?: string; expiresAt: number }>;
      const link = code === undefined ? null : { code, expiresAt: dateOf(expiresAt) };
      return { now: dateOf(now), link };
    },
    async redeemLink(device, code, limits) {
      const told = (await run(REDEEM, { device, code, ...limits })) as Told<{ outcome: Outcome }>;
      return { now: dateOf(told.now), outcome: told.outcome };
    },
    async unlink(device) {
      const told = (await run(UNLINK, { device })) as Told<{ unlinked: number }>;
      return { now: dateOf(told.now), unlinked: told.unlinked };
    },
  };
}
