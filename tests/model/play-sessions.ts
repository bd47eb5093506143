import type { DeviceId } from '../../lib/storage/storage.ts';
import type { Command } from './commands.ts';
import type { Begun, Given } from './given.ts';
import type { Names } from './names.ts';
import type { Side } from './sides.ts';
import { documentOf } from './values.ts';

// Chat sessions. `touched` gets the devices that a command was about.

export async function createSession(
  { storage }: Side,
  given: Given,
  {
    device: n,
    id,
    user,
    ttl: ttlSeconds,
    living,
    hourly,
  }: Extract<Command, { do: 'create session' }>,
  touched: Set<DeviceId>,
): Promise<unknown> {
  const device = given.device(n);
  touched.add(device);
  const { now, session } = await storage.createSession(
    {
      id: `5e551070-0000-4000-8000-00000000000${id}`,
      device,
      user,
      channel: 'chat',
      metadata: { id },
      ttlSeconds,
    },
    { living, hourly },
  );
  if (session !== null) {
    touched.add(session.device);
    given.noteSession(session.id, session.device);
  }
  return { now, session: session && asThread(session) };
}

export async function inSession(
  { storage }: Side,
  given: Given,
  { id, device }: Begun,
  command: Extract<Command, { do: 'patch session' | 'delete session' | 'read history' | 'export' }>,
  touched: Set<DeviceId>,
): Promise<unknown> {
  touched.add(device);
  switch (command.do) {
    case 'patch session': {
      const owner = command.owner === null ? null : given.device(command.owner);
      const { metadata, complete } = command;
      const patch = { metadata: documentOf(metadata), complete };
      const patched = await storage.patchSession(id, owner, patch, 1_000);
      return patched.outcome === 'patched'
        ? { ...patched, session: asThread(patched.session) }
        : patched;
    }
    case 'delete session': {
      const owner = command.owner === null ? null : given.device(command.owner);
      return storage.deleteSession(id, { owner, includeExpired: command.includeExpired });
    }
    case 'read history': {
      const { includeExpired, limit } = command;
      const before = command.before === null ? null : String(command.before);
      return storage.readHistory(id, { owner: null, includeExpired }, before, limit);
    }
    case 'export': {
      const items = await storage.readExport({ session: id }, null, 1_000);
      return items.map((item) => ('session' in item ? asThread(item.session) : item.message));
    }
  }
}

export async function listSessions(
  { storage }: Side,
  given: Given,
  names: Names,
  command: Extract<Command, { do: 'list sessions' }>,
): Promise<unknown> {
  const { user, active, includeExpired } = command;
  const device = command.device === null ? null : given.device(command.device);
  const scope = { user, device, active, includeExpired };
  const { sessions, total } = await storage.listSessions(scope, null, 1_000);
  // two of one millisecond come in any order
  const named = sessions.map((one) => ({
    ...asThread(one),
    name: names.of('session', one.id),
  }));
  return { total, sessions: named.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** A session's own id is named as one. */
const asThread = <T extends { id: string }>({ id: sessionId, ...rest }: T) => ({
  sessionId,
  ...rest,
});
