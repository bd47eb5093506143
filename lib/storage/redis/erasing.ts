import type { Receipt, Storage } from '../storage.ts';
import { ERASING } from './lua/erasing.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type Told } from './views.ts';

const ERASE_DEVICE = script(
  ERASING,
  String.raw`
local receipt, ids = new_receipt(), { input.device }
local linked = linked_to(input.device)
if linked ~= input.device then ids[2] = linked end
for _, id in ipairs(ids) do
  if open(id) then receipt.devices = receipt.devices + 1 end
end
for _, id in ipairs(ids) do erase_whole(id, receipt) end
finish()
return cjson.encode({ now = now, receipt = receipt })
`,
);

const ERASE_USER = script(
  ERASING,
  String.raw`
local receipt, ids, seen = new_receipt(), {}, {}
local function is_own(session) return session.user == input.user end
local function add(id)
  if not seen[id] then ids[#ids + 1] = id end
  seen[id] = true
end
for _, session in ipairs(sessions_in({ user = input.user, includeExpired = true })) do add(session.device) end
for _, member in ipairs(call('SMEMBERS', global('user', input.user))) do
  local id = string.sub(member, 1, 36)
  -- a device that has ended since, and begun anew, may be anybody's
  if #names_of_user(id, input.user) > 0 then add(id) elseif #member == 37 then call('SREM', global('user', input.user), member) end
end
table.sort(ids)
for _, id in ipairs(first_of(ids, input.limit)) do
  local all = all_sessions(id)
  if find(all, function(one) return one.user ~= nil and not is_own(one) end) then
    local own = filter(all, is_own)
    receipt.shared = receipt.shared + 1
    receipt.sessions = receipt.sessions + #own
    receipt.messages = receipt.messages + erase_sessions(ensure(id), own)
    forget_user(id, input.user, receipt)
  else
    receipt.devices = receipt.devices + 1
    erase_whole(id, receipt)
  end
end
finish()
return cjson.encode({ now = now, receipt = receipt, more = #ids > input.limit })
`,
);

/** Everything of a device, or of a user. */
export function erasingOperations({ run }: Runner): Pick<Storage, 'eraseDevice' | 'eraseUser'> {
  return {
    async eraseDevice(device) {
      const told = (await run(ERASE_DEVICE, { device })) as Told<{ receipt: Receipt }>;
      return { now: dateOf(told.now), receipt: told.receipt };
    },
    async eraseUser(user, limit) {
      const told = await run(ERASE_USER, { user, limit });
      const { now, ...done } = told as Told<{ receipt: Receipt; more: boolean }>;
      return { now: dateOf(now), ...done };
    },
  };
}
