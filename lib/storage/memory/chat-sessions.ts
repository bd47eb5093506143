import type { ChatSession, Reach, SessionScope } from '../storage.ts';
import { eraseSessions } from './erasing.ts';
import { leadUser } from './identities.ts';
import type { Synchronous } from './operations.ts';
import { beginSession, touchSession } from './sessions.ts';
import { merged } from './states.ts';
import { deviceRow, linkedTo, type Memory, type Session, type Tables } from './tables.ts';

const HOUR = 3_600_000;

export const viewSession = ({ ttl: _ttl, ...session }: Session): ChatSession => ({
  ...session,
  createdAt: new Date(session.createdAt),
  lastActivity: new Date(session.lastActivity),
  expiresAt: new Date(session.expiresAt),
});

/** The session, where the caller may see it; one that is over is absent, unless it is asked for. */
export function sessionInReach(
  tables: Tables,
  id: string,
  { owner, includeExpired }: Reach,
  now: number,
): Session | null {
  const session = tables.sessions.get(id);
  if (session === undefined) return null;
  if (owner !== null && session.device !== linkedTo(tables, owner)) return null;
  return includeExpired || session.expiresAt > now ? session : null;
}

/** Whose sessions, in which state. */
export function sessionsIn(
  tables: Tables,
  { user, device: asked, active, includeExpired }: SessionScope,
  now: number,
): Session[] {
  const device = asked && linkedTo(tables, asked);
  return [...tables.sessions.values()].filter((session) => {
    const isLiving = session.expiresAt > now;
    return (
      (user === null || session.user === user) &&
      (device === null || session.device === device) &&
      (includeExpired || isLiving) &&
      (active === null || active === (isLiving && !session.complete))
    );
  });
}

/** The life of one chat session. */
export function sessionOperations(
  memory: Memory,
): Pick<Synchronous, 'createSession' | 'readSession' | 'patchSession' | 'deleteSession'> {
  const { tables, now: clock } = memory;
  return {
    createSession({ device: asked, ttlSeconds: ttl, ...given }, { living, hourly }) {
      const now = clock();
      const device = linkedTo(tables, asked);
      const known = tables.sessions.get(given.id);
      if (known !== undefined) return { now: new Date(now), session: viewSession(known) };
      const { user } = given;
      const scope = { user, device: user === null ? device : null, active: null };
      const all = sessionsIn(tables, { ...scope, includeExpired: true }, now);
      const livingNow = all.filter(({ expiresAt }) => expiresAt > now).length;
      const begunLately = all.filter(({ createdAt }) => createdAt > now - HOUR).length;
      if ((living > 0 && livingNow >= living) || (hourly > 0 && begunLately >= hourly))
        return { now: new Date(now), session: null };
      const session = beginSession(memory, deviceRow(tables, device, now), { ...given, ttl }, now);
      if (user !== null) leadUser(tables, device, { channel: given.channel, user }, now);
      return { now: new Date(now), session: viewSession(session) };
    },
    readSession(id, reach) {
      const now = clock();
      const session = sessionInReach(tables, id, reach, now);
      return { now: new Date(now), session: session && viewSession(session) };
    },
    patchSession(id, owner, patch, maxMetadataBytes) {
      const now = clock();
      const session = sessionInReach(tables, id, { owner, includeExpired: false }, now);
      if (session === null) return { now: new Date(now), outcome: 'not_found' };
      const metadata = merged(session.metadata, patch.metadata);
      // what was larger before may still shrink
      const most = Math.max(maxMetadataBytes, bytesOf(session.metadata));
      if (bytesOf(metadata) > most) return { now: new Date(now), outcome: 'too_large' };
      session.metadata = metadata;
      session.complete ||= patch.complete;
      touchSession(memory, deviceRow(tables, session.device, now), session, now);
      return { now: new Date(now), outcome: 'patched', session: viewSession(session) };
    },
    deleteSession(id, reach) {
      const now = clock();
      const session = sessionInReach(tables, id, reach, now);
      if (session === null) return { now: new Date(now), deleted: false };
      eraseSessions(tables, session.device, ({ id: one }) => one === id, now);
      return { now: new Date(now), deleted: true };
    },
  };
}

export const bytesOf = (metadata: object): number => Buffer.byteLength(JSON.stringify(metadata));
