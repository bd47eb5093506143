import type { Storage } from '../storage.ts';
import { wireReply } from './commits.ts';
import { COMMITS } from './lua/commits.ts';
import { DOCUMENTS } from './lua/documents.ts';
import { STATES } from './lua/states.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, parseTurn, type Told, type ToldTurn } from './views.ts';

const NOTES = String.raw`
local function note(row, delivery)
  local status, untried = delivery.status, delivery.untried == true
  local is_open = status == 'pending' or status == 'unknown'
  local gave_up = is_open and not untried and row.attempts >= limits.maxAttempts
  row.status = gave_up and 'failed' or status
  row.externalId = delivery.externalId or row.externalId
  row.error = delivery.error
  if untried then row.attempts = row.attempts - 1 end
  row.claimEndsAt = now + (delivery.retryMs or status == 'unknown' and limits.resendAfterMs or 0)
  keep(row)
end

-- In the place of a reply that could not go out freely, another that may: once until the person writes again.
local function send_instead(device, failed, reply)
  local way = way_of(failed)
  if device.asked[way] then return end
  device.asked[way] = true
  local row = {}
  for name, value in pairs(failed) do row[name] = value end
  row.seq, row.agent = next_place(device), reply.agent or failed.agent
  row.externalId, row.error = nil, nil
  row.status, row.attempts, row.claimEndsAt, row.sentAt, row.createdAt = 'pending', 0, now, now, now
  write_row(row, reply.content, merged(reply.metadata, '{"reopens":true}'))
  local list = written_under(device, failed.fence)
  list[#list + 1] = row
  note_written(device, failed.fence, list)
  local session = session_at(device.id, failed.session)
  if session then
    session.messageCount = session.messageCount + 1
    keep_session(session, device)
  end
end

-- What became of the replies a turn was to send; one its worker says nothing of may be out or not.
local function note_all(device, deliveries)
  local told, ids = {}, {}
  for _, delivery in ipairs(deliveries) do
    ids[#ids + 1] = delivery.id
    told[delivery.id] = told[delivery.id] or delivery
  end
  for _, row in ipairs(sending_in(device)) do
    local delivery = told[text(row.id)]
    if delivery then
      note(row, delivery)
    else
      row.status, row.claimEndsAt = 'unknown', now + limits.resendAfterMs
      keep(row)
    end
  end
  local failed = filter(rows_of(device.id, ids), function(row) return row.status == 'failed' and row.seq ~= nil end)
  for _, row in ipairs(sorted(failed, by_place)) do
    local instead = told[text(row.id)].instead
    if instead then send_instead(device, row, instead) end
  end
end

-- Who comes too late may still say what nobody else knows: that the channel took a reply, or never will.
local function note_late(device, deliveries)
  for _, delivery in ipairs(deliveries) do
    local row = row_of(device.id, delivery.id)
    if row and row.status == 'unknown' and (delivery.status == 'sent' or delivery.status == 'failed') then
      row.status = delivery.status
      row.externalId = row.externalId or delivery.externalId
      row.error = delivery.error
      keep(row)
    end
  end
end
`;

const SETTLE = script(
  DOCUMENTS,
  STATES,
  COMMITS,
  NOTES,
  String.raw`
local device = open(input.device)
local grant = device and device.grant
if not grant then return '{}' end
local is_own = grant.fence == input.fence and is_sending(device)
if is_own and grant.endsAt then
  note_all(device, input.deliveries)
  grant.endsAt = nil
else
  note_late(device, input.deliveries)
  -- what is not lost was settled before, or found lapsed by somebody who had nothing to take
  if not is_own and grant.owner ~= after(input.fence) then
    finish()
    return '{}'
  end
end
local turn = input.leaseMs > 0 and take_turn(device, after(input.fence), 'builtin', input.leaseMs) or nil
finish()
return cjson.encode({ now = now, turn = turn })
`,
);

/** What became of the replies. */
export function deliveryOperations({ run }: Runner): Pick<Storage, 'settle'> {
  return {
    async settle(device, fence, deliveries, leaseMs) {
      const told = deliveries.map(({ instead, ...delivery }) => ({
        ...delivery,
        ...(instead !== undefined && { instead: wireReply(instead) }),
      }));
      const input = { device, fence, leaseMs, deliveries: told };
      const { now, turn } = (await run(SETTLE, input)) as Partial<Told<{ turn?: ToldTurn }>>;
      return now === undefined ? null : { now: dateOf(now), turn: parseTurn(turn) };
    },
  };
}
