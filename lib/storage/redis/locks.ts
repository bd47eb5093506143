import type { Guard, Storage } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, parseLock, type Told, type ToldLock } from './views.ts';

const GET = script(String.raw`
local device = open(linked_to(input.device))
return cjson.encode({ now = now, lock = device and view_lock(device) })
`);

const SET = script(String.raw`
local id = linked_to(input.device)
local known = open(id)
local lock = known and view_lock(known)
if not allows(input.guard, lock and lock.version) then return '{}' end
local device = ensure(id)
hold(device, input.agent, input.ttl)
finish()
return cjson.encode({ now = now, lock = view_lock(device) })
`);

const CLEAR = script(String.raw`
local device = open(linked_to(input.device))
local lock = device and view_lock(device)
if not allows(input.guard, lock and lock.version) then return '{}' end
if device then
  clear_lock(device)
  finish()
end
return cjson.encode({ now = now })
`);

/** A guard may be broken by what a first try wrote. */
export const isRepeatable = (guard: Guard): boolean => guard.kind === 'none';

/** The active-agent lock. */
export function lockOperations({
  run,
}: Runner): Pick<Storage, 'getLock' | 'setLock' | 'clearLock'> {
  return {
    async getLock(device) {
      const told = (await run(GET, { device })) as Told<{ lock?: ToldLock }>;
      return { now: dateOf(told.now), lock: parseLock(told.lock) };
    },
    async setLock(device, { agent, ttlSeconds: ttl }, guard) {
      const input = { device, agent, ttl, guard };
      const told = (await run(SET, input, isRepeatable(guard))) as Partial<
        Told<{ lock: ToldLock }>
      >;
      const lock = parseLock(told.lock);
      if (told.now === undefined || lock === null) return { written: false };
      return { written: true, now: dateOf(told.now), lock };
    },
    async clearLock(device, guard) {
      const told = (await run(CLEAR, { device, guard }, isRepeatable(guard))) as { now?: number };
      return told.now === undefined ? { written: false } : { written: true, now: dateOf(told.now) };
    },
  };
}
