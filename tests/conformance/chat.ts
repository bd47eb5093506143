import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../lib/json.ts';
import type {
  ChatSession,
  DeviceId,
  ExportItem,
  ExportPlace,
  ExportScope,
  FoundPage,
  NewSession,
  Reach,
  SessionPage,
  SessionScope,
  Turn,
} from '../../lib/storage/storage.ts';
import { commit, commitOf, type Harness, message, newDevice, terms } from '../support/storage.ts';

// What callers do with chat sessions, for the cases that are about them.

export const anybody: Reach = { owner: null, includeExpired: false };
export const operator: Reach = { owner: null, includeExpired: true };
const uncapped = { living: 0, hourly: 0 };

/** Begins a session, on a device of its own if none is named. */
export async function begin(
  { storage }: Harness,
  some: Partial<NewSession> = {},
): Promise<ChatSession> {
  const { session } = await storage.createSession(
    {
      id: randomUUID(),
      device: newDevice(),
      user: null,
      channel: 'chat',
      metadata: {},
      ttlSeconds: null,
      ...some,
    },
    uncapped,
  );
  if (session === null) throw new Error('the session was refused');
  return session;
}

/** A message to a session. */
export const toSession = (id: string, some: Partial<Parameters<typeof message>[1]> = {}) =>
  message(newDevice(), { sender: { session: id }, channel: 'chat', account: id, ...some });

/** Says something in a session and takes the turn. */
export async function takeIn(
  { storage }: Harness,
  id: string,
  some: Parameters<typeof toSession>[1] = {},
): Promise<Turn> {
  const [accepted] = await storage.accept([toSession(id, some)], terms());
  if (accepted?.turn == null) throw new Error('the turn was not free');
  return accepted.turn;
}

/** A question and its answer. */
export async function talk(
  h: Harness,
  id: string,
  content: string,
  ...replies: string[]
): Promise<Turn> {
  const turn = await takeIn(h, id, { content });
  await commit(h.storage, turn, commitOf(...replies));
  return turn;
}

export const read = async ({ storage }: Harness, id: string, reach = anybody) =>
  (await storage.readSession(id, reach)).session;
export const patch = (
  { storage }: Harness,
  id: string,
  metadata: JsonObject,
  { complete = false, owner = null as DeviceId | null, most = 1_048_576 } = {},
) => storage.patchSession(id, owner, { metadata, complete }, most);
export const refusalOf = async ({ storage }: Harness, id: string, some = {}) =>
  (await storage.accept([toSession(id, some)], terms()))[0]?.refused[0]?.reason;
export const lifeOf = ({ lastActivity, expiresAt }: ChatSession) =>
  expiresAt.getTime() - lastActivity.getTime();

export const scope = (some: Partial<SessionScope>): SessionScope => ({
  user: null,
  device: null,
  active: null,
  includeExpired: false,
  ...some,
});

/** All pages of a list, one after the other. */
export async function pages<Page extends SessionPage | FoundPage>(
  next: (after: Page['next']) => Promise<Page>,
): Promise<Page[]> {
  const seen: Page[] = [];
  for (let after: Page['next'] = null; ;) {
    const page = await next(after);
    seen.push(page);
    after = page.next;
    if (after === null) return seen;
  }
}

export const idsOf = (page: { sessions: { id: string }[] } | null) =>
  page?.sessions.map(({ id }) => id);
export const list = ({ storage }: Harness, some: Partial<SessionScope>, limit = 50) =>
  storage.listSessions(scope(some), null, limit);
export const search = (
  { storage }: Harness,
  words: string,
  some: Partial<SessionScope>,
  limit = 50,
) => storage.searchSessions(words, scope(some), null, limit);

/** A user's session in which one message says this. */
export async function said(h: Harness, user: string, content: string, device = newDevice()) {
  const session = await begin(h, { user, device });
  await talk(h, session.id, content);
  return session;
}

export async function exported(h: Harness, of: ExportScope, limit: number): Promise<ExportItem[]> {
  const items: ExportItem[] = [];
  for (let after: ExportPlace | null = null; ;) {
    const part: ExportItem[] = await h.storage.readExport(of, after, limit);
    items.push(...part);
    after = part.at(-1)?.at ?? null;
    if (after === null) return items;
  }
}
export const textsOf = (items: ExportItem[]) =>
  items.map((item) => ('message' in item ? item.message.content : item.session.id));
