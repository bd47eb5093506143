import type { DeviceId, ListPlace, SessionScope, Storage } from '../storage.ts';
import { DOCUMENTS } from './lua/documents.ts';
import { ERASING } from './lua/erasing.ts';
import { IDENTITIES } from './lua/identities.ts';
import { assertOfSomebody, unsupported } from './unsupported.ts';
import { type Runner, script } from './scripts.ts';
import {
  dateOf,
  type List,
  listOf,
  parseListed,
  parseSession,
  textOf,
  type Told,
  type ToldSession,
} from './views.ts';

const CREATE = script(
  IDENTITIES,
  String.raw`
local known = session_of(input.id)
if known then return cjson.encode({ now = now, session = view_session(known) }) end
local owner = linked_to(input.device)
local all = sessions_in({ user = input.user, device = not input.user and owner or nil, includeExpired = true })
local living = #filter(all, function(one) return one.expiresAt > now end)
local lately = #filter(all, function(one) return one.createdAt > now - 3600000 end)
local caps = input.caps
if (caps.living > 0 and living >= caps.living) or (caps.hourly > 0 and lately >= caps.hourly) then
  return cjson.encode({ now = now })
end
local session = begin_session(ensure(owner), input)
if input.user then lead_user(owner, input.channel, input.user) end
finish()
return cjson.encode({ now = now, session = view_session(session) })
`,
);

const READ = script(String.raw`
local session = session_in_reach(input.id, input.owner, input.includeExpired)
return cjson.encode({ now = now, session = session and view_session(session) })
`);

const PATCH = script(
  DOCUMENTS,
  String.raw`
local session = session_in_reach(input.id, input.owner, false)
if not session then return cjson.encode({ now = now, outcome = 'not_found' }) end
local key = at(session.device, 'session-metadata')
local stands = call('HGET', key, session.id) or '{}'
local metadata = merged(stands, input.metadata)
-- what was larger before may still shrink
if #metadata > math.max(input.most, #stands) then return cjson.encode({ now = now, outcome = 'too_large' }) end
call('HSET', key, session.id, metadata)
session.complete = session.complete or input.complete
touch_session(ensure(session.device), session)
finish()
return cjson.encode({ now = now, outcome = 'patched', session = view_session(session, metadata) })
`,
);

const DELETE = script(
  ERASING,
  String.raw`
local session = session_in_reach(input.id, input.owner, input.includeExpired)
if not session then return cjson.encode({ now = now, deleted = false }) end
erase_sessions(ensure(session.device), { session })
finish()
return cjson.encode({ now = now, deleted = true })
`,
);

const LIST = script(String.raw`
local all, after = sorted(sessions_in(input.scope), latest_first), input.after
local rest = filter(all, function(one)
  return not after or one.lastActivity < after.lastActivity
    or (one.lastActivity == after.lastActivity and one.id < after.id)
end)
local page = first_of(rest, input.limit)
local last = #rest > input.limit and page[#page] or nil
return cjson.encode({
  now = now,
  sessions = map(page, view_listed),
  total = #all,
  next = last and { lastActivity = last.lastActivity, id = last.id },
})
`);

type Scoped = Told<{
  sessions: List<ToldSession>;
  total: number;
  next?: { lastActivity: number; id: string };
}>;

/** The life of chat sessions, and lists of them. */
export function sessionOperations({
  run,
}: Runner): Pick<
  Storage,
  | 'createSession'
  | 'readSession'
  | 'patchSession'
  | 'deleteSession'
  | 'listSessions'
  | 'searchSessions'
> {
  return {
    async createSession({ metadata, ttlSeconds: ttl, ...session }, caps) {
      const told = await run(CREATE, { ...session, ttl, metadata: textOf(metadata), caps });
      return viewRead(told as Told<{ session?: ToldSession }>);
    },
    async readSession(id, reach) {
      return viewRead((await run(READ, { id, ...reach })) as Told<{ session?: ToldSession }>);
    },
    async patchSession(id, owner: DeviceId | null, { metadata, complete }, most) {
      const input = { id, owner, metadata: textOf(metadata), complete, most };
      const { now: at, ...told } = (await run(PATCH, input)) as Told<
        { outcome: 'not_found' | 'too_large' } | { outcome: 'patched'; session: ToldSession }
      >;
      const now = dateOf(at);
      return told.outcome === 'patched'
        ? { now, outcome: 'patched', session: parseSession(told.session) }
        : { now, outcome: told.outcome };
    },
    async deleteSession(id, reach) {
      const told = (await run(DELETE, { id, ...reach })) as Told<{ deleted: boolean }>;
      return { now: dateOf(told.now), deleted: told.deleted };
    },
    async listSessions(scope: SessionScope, after: ListPlace | null, limit) {
      assertOfSomebody(scope);
      const told = (await run(LIST, { scope, after, limit })) as Scoped;
      return {
        now: dateOf(told.now),
        sessions: listOf(told.sessions).map(parseListed),
        total: told.total,
        next: told.next ? { lastActivity: dateOf(told.next.lastActivity), id: told.next.id } : null,
      };
    },
    searchSessions: () => Promise.reject(unsupported('search')),
  };
}

const viewRead = ({ now, session }: Told<{ session?: ToldSession }>) => ({
  now: dateOf(now),
  session: session === undefined ? null : parseSession(session),
});
