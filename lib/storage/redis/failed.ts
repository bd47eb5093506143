import type { DeviceId, Lane, Storage } from '../storage.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type List, listOf, parseMessage, type Told, type ToldMessage } from './views.ts';

/** Oldest first, of one device or of all; what has ended with its device is left out, and forgotten. */
const FAILED = String.raw`
local function failed_after(last, limit)
  local key = input.device and at(input.device, 'failed') or input.prefix .. 'failed'
  local list = {}
  repeat
    local found = call('ZRANGEBYSCORE', key, '(' .. text(last), '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    for i = 1, #found, 2 do
      local device = input.device or string.sub(found[i], 1, 36)
      last = tonumber(found[i + 1])
      local row = row_of(device, text(last))
      if not row then
        call('ZREM', key, found[i])
      elseif #list < limit then
        list[#list + 1] = row
      end
    end
  until #found == 0 or #list >= limit
  return list
end
`;

const LIST = script(
  FAILED,
  String.raw`
local list = failed_after(tonumber(input.after) or 0, input.limit)
local views = map(list, function(row)
  local view = view_messages(row.device, { row })[1]
  view.device, view.sessionId, view.channel, view.lane = row.device, row.session, row.channel, row.lane
  view.attempts, view.error = row.attempts, row.error
  return view
end)
return cjson.encode({ now = now, messages = views })
`,
);

const RETRY = script(
  FAILED,
  String.raw`
local retried = failed_after(0, input.limit)
for _, row in ipairs(retried) do
  row.status, row.attempts, row.error = 'waiting', 0, nil
  keep(row)
  ensure(row.device)
end
-- where a person holds the conversation by now, nothing waits
for _, device in pairs(opened) do record_under_human(device) end
finish()
return cjson.encode({ now = now, retried = #retried })
`,
);

type ToldFailed = ToldMessage & {
  device: string;
  sessionId: string;
  channel: string;
  lane: Lane;
  attempts: number;
  error?: string;
};

/** What was set aside, and the way back. */
export function failedOperations({ run }: Runner): Pick<Storage, 'listFailed' | 'retryFailed'> {
  return {
    async listFailed(device, after, limit) {
      const told = await run(LIST, { device, after, limit });
      const { now, messages } = told as Told<{ messages: List<ToldFailed> }>;
      return {
        now: dateOf(now),
        messages: listOf(messages).map((message) => ({
          ...parseMessage(message),
          device: message.device as DeviceId,
          sessionId: message.sessionId,
          channel: message.channel,
          lane: message.lane,
          attempts: message.attempts,
          error: message.error ?? null,
        })),
      };
    },
    async retryFailed(device, limit) {
      const told = await run(RETRY, { device, limit });
      const { now, retried } = told as Told<{ retried: number }>;
      return { now: dateOf(now), retried, more: retried >= limit };
    },
  };
}
