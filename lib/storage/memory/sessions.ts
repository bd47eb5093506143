import { randomUUID } from 'node:crypto';
import type { Device, Memory, Session } from './tables.ts';

/** A session as it begins. */
export function beginSession(
  { tables, limits }: Memory,
  device: Device,
  given: Pick<Session, 'id' | 'user' | 'channel' | 'metadata' | 'ttl'>,
  now: number,
): Session {
  const expiresAt = now + (given.ttl ?? limits.sessionTtl) * 1_000;
  const session: Session = {
    ...given,
    device: device.id,
    complete: false,
    messageCount: 0,
    createdAt: now,
    lastActivity: now,
    expiresAt,
  };
  tables.sessions.set(session.id, session);
  device.session = { id: session.id, endsAt: expiresAt };
  return session;
}

/** The device's running chat session, its life started anew, or a new one where that is over. */
export function openSession(memory: Memory, device: Device, channel: string, now: number): string {
  const { session: current } = device;
  const running =
    current !== null && current.endsAt > now ? memory.tables.sessions.get(current.id) : undefined;
  if (running === undefined) {
    const fresh = { id: randomUUID(), user: null, channel, metadata: {}, ttl: null };
    return beginSession(memory, device, fresh, now).id;
  }
  touchSession(memory, device, running, now);
  return running.id;
}

/** Starts a session's life anew. One that is complete is its device's current one no more. */
export function touchSession(
  { limits }: Memory,
  device: Device,
  session: Session,
  now: number,
): void {
  const ttl = session.complete ? limits.completedTtl : (session.ttl ?? limits.sessionTtl);
  session.lastActivity = now;
  session.expiresAt = now + ttl * 1_000;
  if (device.session?.id === session.id)
    device.session = session.complete ? null : { id: session.id, endsAt: session.expiresAt };
}
