import type { Config } from './config.ts';
import { BatonError } from './errors.ts';
import { assertStorable, type JsonObject } from './json.ts';
import { assertFits, metadataTooLarge, sessionNotFound } from './limits.ts';
import type {
  ChatSession,
  DeviceId,
  History,
  NewSession,
  Reach,
  Storage,
} from './storage/storage.ts';

export interface SessionServices {
  storage: Storage;
  config: Config;
}

/**
 * Begins a chat session, which becomes the device's current one.
 *
 * @throws {BatonError} `rate_limited` when there are as many as may be: one that ends makes room;
 *   `metadata_too_large`, `unstorable_text`
 */
export async function beginSession(
  { storage, config }: SessionServices,
  session: Omit<NewSession, 'id'>,
): Promise<ChatSession> {
  assertStorable(session.metadata, 'metadata');
  assertFits(config, '', session.metadata);
  const begun = await storage.createSession(
    { ...session, id: crypto.randomUUID() },
    { living: config.maxSessionsPerUser, hourly: config.maxSessionsPerHour },
  );
  if (begun.session === null) {
    throw new BatonError(
      'rate_limited',
      'This user has begun, or has alive, as many chat sessions as this deployment allows; try again later, or complete some',
    );
  }
  return begun.session;
}

/** @throws {BatonError} `session_not_found`; also for one that is out of the caller's reach */
export async function readSession(
  { storage }: SessionServices,
  id: string,
  reach: Reach,
): Promise<ChatSession> {
  const { session } = await storage.readSession(id, reach);
  if (session === null) throw sessionNotFound();
  return session;
}

/**
 * Merges metadata, and ends the session if `complete`. Either starts its life anew.
 *
 * @throws {BatonError} `session_not_found`, `metadata_too_large`, `unstorable_text`; nothing was written
 */
export async function changeSession(
  { storage, config }: SessionServices,
  id: string,
  owner: DeviceId | null,
  patch: { metadata: JsonObject; complete: boolean },
): Promise<ChatSession> {
  assertStorable(patch.metadata, 'metadata');
  const patched = await storage.patchSession(id, owner, patch, config.maxMetadataBytes);
  if (patched.outcome === 'not_found') throw sessionNotFound();
  if (patched.outcome === 'too_large') throw metadataTooLarge(config.maxMetadataBytes);
  return patched.session;
}

/** Deletes a session with everything said in it. @throws {BatonError} `session_not_found`, also the second time */
export async function deleteSession(
  { storage }: SessionServices,
  id: string,
  reach: Reach,
): Promise<void> {
  const { deleted } = await storage.deleteSession(id, reach);
  if (!deleted) throw sessionNotFound();
}

/** The last messages before a place (null: the end), oldest first. @throws {BatonError} `session_not_found` */
export async function readHistory(
  { storage }: SessionServices,
  id: string,
  reach: Reach,
  before: string | null,
  limit: number,
): Promise<History> {
  const { history } = await storage.readHistory(id, reach, before, limit);
  if (history === null) throw sessionNotFound();
  return history;
}
