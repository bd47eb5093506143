import type { Storage } from '../storage.ts';
import { COMMITS } from './lua/commits.ts';
import { STATES } from './lua/states.ts';
import { type Runner, script } from './scripts.ts';
import { dateOf, type List, listOf, parseMessage, type Told, type ToldMessage } from './views.ts';

const READ = script(
  STATES,
  COMMITS,
  String.raw`
local device = open(input.device)
local found = call('GET', key_of(input.channel, input.account, input.messageId))
local key = found and cjson.decode(found)
local row = device and key and key.device == device.id and row_of(device.id, key.id) or nil
local result = { now = now, free = not device or not is_held(device) }
if row then
  result.message = {
    id = text(row.id),
    sessionId = row.session,
    content = call('HGET', at(device.id, 'texts'), key.id) or '',
    status = row.status,
    holder = row.holder,
  }
end
if row and row.status == 'answered' then
  local replies = filter(written_under(device, row.fence), function(one) return one.role == 'assistant' end)
  result.replies = view_messages(device.id, replies)
  for i, reply in ipairs(replies) do
    local answered = filter(rows_of(device.id, reply.answers), function(one) return one.externalId ~= nil end)
    -- those that were emptied since have no place any more
    table.sort(answered, function(a, b) return (a.seq or 0) < (b.seq or 0) end)
    result.replies[i].answers = map(answered, function(one) return one.externalId end)
  end
end
return cjson.encode(result)
`,
);

type ToldAnswer = Told<{
  free: boolean;
  message?: { id: string; sessionId: string; content: string; status: string; holder?: string };
  replies?: List<ToldMessage & { answers: List<string> }>;
}>;

/** What became of a message. */
export function answerOperations({ run }: Runner): Pick<Storage, 'readAnswer'> {
  return {
    async readAnswer(device, channel, messageId, account = device) {
      const input = { device, channel, messageId, account };
      const { now, free, message, replies } = (await run(READ, input)) as ToldAnswer;
      return {
        now: dateOf(now),
        message: message === undefined ? null : { ...message, holder: message.holder ?? null },
        replies: listOf(replies).map((reply) => ({
          ...parseMessage(reply),
          answers: listOf(reply.answers),
        })),
        free,
      };
    },
  };
}
