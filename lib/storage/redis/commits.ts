import { createHash } from 'node:crypto';
import type { Commit, CommitResult, Lane, Storage } from '../storage.ts';
import { COMMITS } from './lua/commits.ts';
import { DOCUMENTS } from './lua/documents.ts';
import { STATES } from './lua/states.ts';
import { type Runner, script } from './scripts.ts';
import {
  dateOf,
  type List,
  listOf,
  parseLock,
  parseReply,
  parseTurn,
  textOf,
  type Told,
  type ToldLock,
  type ToldReply,
  type ToldTurn,
} from './views.ts';

// What came of a commit is read, not written, and so the same for a repeated call.
const COMMIT = script(
  DOCUMENTS,
  STATES,
  COMMITS,
  String.raw`
local fence = input.fence
local device = open(input.lane == 'external' and turn_device(input.device, fence) or input.device)
local grant, committed = device and device.grant, device and device.committed
local function refused(outcome) return cjson.encode({ now = now, outcome = outcome }) end
if not grant then return refused('lost') end
if not (committed and committed.fence == fence and committed.hash == input.hash) then
  if grant.fence ~= fence or grant.lane ~= input.lane or not grant.endsAt or is_sending(device) then
    return refused('lost')
  end
  local state = input.content.state
  if state and device.stateVersion ~= grant.stateVersion then return refused('state_conflict') end
  if input.content.statePatch then
    state = merged(call('GET', at(device.id, 'state')) or '{}', input.content.statePatch)
  end
  if state and #state > limits.maxStateBytes then return '{"tooLarge":true}' end
  write(device, grant, state)
end
local written = written_under(device, fence)
local answered = filter(written, function(row) return row.role == 'user' end)
local replies = filter(written, function(row) return row.role == 'assistant' end)
local deliver = device.grant.fence == fence and device.grant.endsAt ~= nil
local result = {
  now = now,
  outcome = 'committed',
  lock = view_lock(device),
  sessionId = answered[1] and answered[1].session,
  answered = map(answered, function(row) return { id = text(row.id), messageId = row.externalId } end),
  replies = view_replies(device, replies),
  deliver = deliver,
}
if not deliver then result.turn = take_turn(device, after(fence), input.lane, input.leaseMs) end
finish()
return cjson.encode(result)
`,
);

type ToldCommit = Told<{
  outcome: CommitResult['outcome'];
  lock?: ToldLock;
  sessionId?: string;
  answered: List<{ id: string; messageId?: string }>;
  replies: List<ToldReply>;
  deliver: boolean;
  turn?: ToldTurn;
}>;

/** How a turn is answered. */
export function commitOperations({ run }: Runner): Pick<Storage, 'commit'> {
  return {
    async commit(device, fence, lane, content, leaseMs) {
      const hash = hashOf(lane, content);
      const input = { device, fence, lane, leaseMs, hash, content: wire(content) };
      const told = (await run(COMMIT, input)) as ToldCommit;
      const now = dateOf(told.now);
      if (told.outcome !== 'committed') return { outcome: told.outcome, now };
      return {
        outcome: 'committed',
        now,
        lock: parseLock(told.lock),
        sessionId: told.sessionId ?? null,
        answered: listOf(told.answered).map(({ id, messageId }) => ({
          id,
          messageId: messageId ?? null,
        })),
        replies: listOf(told.replies).map(parseReply),
        deliver: told.deliver,
        turn: parseTurn(told.turn),
      };
    },
  };
}

const wire = ({ state, statePatch, replies, ...rest }: Commit) => ({
  ...rest,
  replies: replies.map(wireReply),
  ...(state !== undefined && { state: textOf(state) }),
  ...(state === undefined && statePatch !== undefined && { statePatch: textOf(statePatch) }),
});

/** Whether a reply reopens a conversation is all that a script wants to know of its metadata. */
export const wireReply = ({ metadata, ...reply }: Commit['replies'][number]) => ({
  ...reply,
  metadata: textOf(metadata),
  reopens: metadata['reopens'] === true,
});

/** Equal for equal content of one lane, in whatever order its keys come. */
function hashOf(lane: Lane, content: Commit): string {
  const text = JSON.stringify([lane, content], (_, item: unknown) =>
    typeof item !== 'object' || item === null || Array.isArray(item)
      ? item
      : Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );
  return createHash('sha256').update(text).digest('base64');
}
