import { randomUUID } from 'node:crypto';
import type { Commit, DeviceId, Turn } from '../../lib/storage/storage.ts';
import { commitOf, type Harness, terms } from '../support/storage.ts';

// What many cases do on their way.

/** Recovers until nothing is left; gives what was found of one device. */
export async function recoverFor(
  { storage }: Harness,
  device: DeviceId,
): Promise<Turn | undefined> {
  for (;;) {
    const { turns } = await storage.recover({
      requestId: randomUUID(),
      leaseMs: 60_000,
      maxTurns: 100,
    });
    const found = turns.find((turn) => turn.device === device);
    if (found !== undefined || turns.length === 0) return found;
  }
}

/** The turn of a device where something waits, taken by a new call. */
export async function retake({ storage }: Harness, device: DeviceId): Promise<Turn | undefined> {
  return (await storage.next([device], terms())).turns[0];
}

/** A commit whose replies have to be sent. */
export const toSend = (...replies: string[]): Commit => ({
  ...commitOf(...replies),
  deliver: true,
});

/** The device's replies, each as `content status`. */
export async function sentBy(h: Harness, device: DeviceId): Promise<string[]> {
  const stored = await h.messages(device);
  return stored
    .filter(({ role }) => role === 'assistant')
    .map(({ content, status }) => `${content} ${status}`);
}

export const contentsOf = (turn: { messages: { content: string }[] } | null | undefined) =>
  turn?.messages.map(({ content }) => content);
