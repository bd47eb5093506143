import type { ExportItem, Storage } from '../storage.ts';
import { assertOfSomebody } from './unsupported.ts';
import { type Runner, script } from './scripts.ts';
import {
  dateOf,
  type List,
  listOf,
  parseMessage,
  parseSession,
  type Told,
  type ToldMessage,
  type ToldSession,
} from './views.ts';

const HISTORY = script(String.raw`
local session = session_in_reach(input.id, input.owner, input.includeExpired)
if not session then return cjson.encode({ now = now }) end
local found = said_in(session.device, session.id, tonumber(input.before), input.limit + 1)
local part = reversed(fitting(first_of(found, input.limit), 4, 1))
local older = #part > 0 and #part < #found and text(part[1].seq) or nil
local messages = view_messages(session.device, part)
return cjson.encode({ now = now, history = { messages = messages, total = session.messageCount, older = older } })
`);

const EXPORT = script(String.raw`
local PART, STEP = 1024 * 1024, 100
local after, items, bytes = input.after, {}, 0
local sessions = input.session and { session_of(input.session) } or sessions_in(input)
local function is_full() return #items >= input.limit or bytes >= PART end
local function is_behind(session)
  if not after then return true end
  if session.createdAt ~= after.begun then return session.createdAt > after.begun end
  return session.id > after.session
end
local function at_place(session, seq) return { begun = session.createdAt, session = session.id, seq = text(seq) } end
local function add_messages(session, seq)
  local range = { at(session.device, 'said'), nil, '(' .. session.id .. ';' }
  repeat
    range[2] = '(' .. session.id .. string.format(':%015d;', seq)
    local found = call('ZRANGEBYLEX', range[1], range[2], range[3], 'LIMIT', 0, STEP)
    local list = rows_of(session.device, map(found, function(member) return string.match(member, '%d+$') end))
    for _, row in ipairs(list) do
      if is_full() then return end
      items[#items + 1] = { at = at_place(session, row.seq), message = view_messages(session.device, { row })[1] }
      bytes, seq = bytes + row.bytes, row.seq
    end
  until #found < STEP
end
table.sort(sessions, function(a, b)
  if a.createdAt ~= b.createdAt then return a.createdAt < b.createdAt end
  return a.id < b.id
end)
for _, session in ipairs(sessions) do
  if is_full() then break end
  if is_behind(session) then
    items[#items + 1] = { at = at_place(session, 0), session = view_session(session) }
    add_messages(session, 0)
  elseif session.id == after.session then
    add_messages(session, tonumber(after.seq))
  end
end
return cjson.encode({ items = items })
`);

interface ToldItem {
  at: { begun: number; session: string; seq: string };
  session?: ToldSession;
  message?: ToldMessage;
}

/** What was said in chat sessions. */
export function historyOperations({ run }: Runner): Pick<Storage, 'readHistory' | 'readExport'> {
  return {
    async readHistory(id, reach, before, limit) {
      const { now, history } = (await run(HISTORY, { id, ...reach, before, limit })) as Told<{
        history?: { messages: List<ToldMessage>; total: number; older?: string };
      }>;
      if (history === undefined) return { now: dateOf(now), history: null };
      const messages = listOf(history.messages).map(parseMessage);
      const { total, older = null } = history;
      return { now: dateOf(now), history: { messages, total, older } };
    },
    async readExport(of, after, limit) {
      if (!('session' in of)) assertOfSomebody(of);
      const told = (await run(EXPORT, { ...of, after, limit })) as { items: List<ToldItem> };
      return listOf(told.items).flatMap(({ at, session, message }): ExportItem[] => {
        const place = { ...at, begun: dateOf(at.begun) };
        if (session !== undefined) return [{ at: place, session: parseSession(session) }];
        return message === undefined ? [] : [{ at: place, message: parseMessage(message) }];
      });
    },
  };
}
