import type { Storage } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type Told } from './views.ts';

/** The device whose newest fence this is. */
const NEWEST = String.raw`
local function newest()
  local device = open(turn_device(input.device, input.fence))
  local grant = device and device.grant
  if not grant or grant.fence ~= input.fence then return nil end
  return (not input.lane or grant.lane == input.lane) and device or nil
end
`;

const EXTEND = script(
  NEWEST,
  String.raw`
local device = newest()
if not device or not device.grant.endsAt then return '{}' end
device.grant.endsAt = now + input.leaseMs
finish()
return cjson.encode({ now = now, expiresAt = device.grant.endsAt })
`,
);

// given back twice is given back; after a commit there is nothing to give
const GIVE_BACK = script(
  NEWEST,
  String.raw`
local device = newest()
if not device or is_sending(device) then return '{}' end
device.grant.endsAt, device.grant.handed = nil, {}
finish()
return cjson.encode({ now = now })
`,
);

// until the next try nobody holds the turn and nobody may take it: the fence is nobody's
const FAIL = script(
  NEWEST,
  String.raw`
local device = newest()
if not device or not device.grant.endsAt or is_sending(device) then return '{}' end
local attempts = count_attempt(device, device.grant.handed, input.error)
local retry_at = attempts and now + math.min(4 ^ (attempts - 1), 64) * 1000 or nil
revoke(device.grant)
device.grant.endsAt = retry_at
finish()
return cjson.encode({ now = now, retryAt = retry_at })
`,
);

/** How a turn is kept alive, and how it ends without an answer. */
export function leaseOperations({ run }: Runner): Pick<Storage, 'extend' | 'giveBack' | 'fail'> {
  return {
    async extend(device, fence, lane, leaseMs) {
      const told = await run(EXTEND, { device, fence, lane, leaseMs });
      const { now, expiresAt } = told as Partial<Told<{ expiresAt: number }>>;
      if (now === undefined || expiresAt === undefined) return null;
      return { now: dateOf(now), expiresAt: dateOf(expiresAt) };
    },
    async giveBack(device, fence, lane) {
      const { now } = (await run(GIVE_BACK, { device, fence, lane })) as { now?: number };
      return now !== undefined;
    },
    async fail(device, fence, error) {
      // its own success would tell a repetition that the turn was lost
      const told = await run(FAIL, { device, fence, error }, false);
      const { now, retryAt } = told as Partial<Told<{ retryAt?: number }>>;
      if (now === undefined) return null;
      return { now: dateOf(now), retryAt: retryAt === undefined ? null : dateOf(retryAt) };
    },
  };
}
