import type { Storage } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type Told } from './views.ts';

const NOTE = script(String.raw`
-- What a channel reports, in the order in which it can come true.
local STEPS = { pending = 1, sending = 2, unknown = 3, sent = 4, delivered = 5, read = 6 }
-- A failure before all.
local ORDER = { failed = 1, read = 2, delivered = 3, sent = 4 }

-- By its own id, which went out with it, or by the channel's.
local function reply_of(report)
  local function is_own(row)
    return row and row.role == 'assistant' and not row.key
      and row.channel == input.channel and row.account == report.account
  end
  local device = report.replyId and call('GET', global('reply', report.replyId))
  local row = device and row_of(device, report.replyId)
  if is_own(row) then return row end
  local name = { channel = input.channel, account = report.account, externalId = report.externalId }
  local found = call('GET', sent_key(name))
  row = found and row_of(string.sub(found, 1, 36), string.sub(found, 38))
  return is_own(row) and row.externalId == report.externalId and row or nil
end

-- Statuses only move forward, and of several attempts each has an id of its own: one says nothing of the next.
local function is_news(row, report)
  local stands = STEPS[row.status]
  -- a failure that is told once somebody has the reply is none
  local comes = report.status == 'failed' and STEPS.delivered or STEPS[report.status]
  if not stands or stands >= comes then return false end
  if not row.externalId then return true end
  local is_earlier = row.externalId == report.externalId
  if stands < STEPS.sent then return not is_earlier end
  return is_earlier
end

local function note(row, report)
  local again = report.retryMs and row.attempts < limits.maxAttempts
  row.externalId, row.error = report.externalId, report.error
  row.status = again and 'pending' or report.status
  if report.retryMs then row.claimEndsAt = now + report.retryMs end
  keep(row)
  open(row.device)
end

local furthest, known = {}, {}
for _, report in ipairs(input.statuses) do
  local row = reply_of(report)
  if row then
    local id = text(row.id)
    if not furthest[id] then known[#known + 1] = row end
    if not furthest[id] or ORDER[report.status] < ORDER[furthest[id].status] then furthest[id] = report end
  end
end
for _, row in ipairs(known) do
  local report = furthest[text(row.id)]
  if is_news(row, report) then note(row, report) end
end
finish()
return cjson.encode({ now = now, known = #known })
`);

/** What a channel reports of the replies it was given. */
export function statusOperations({ run }: Runner): Pick<Storage, 'noteStatuses'> {
  return {
    async noteStatuses(channel, statuses) {
      const told = (await run(NOTE, { channel, statuses })) as Told<{ known: number }>;
      return { now: dateOf(told.now), known: told.known };
    },
  };
}
