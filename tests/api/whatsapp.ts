import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { signBytes } from '../../lib/secrets.ts';
import { type Answer, type Api, startApi } from '../support/api.ts';
import type { Script } from './scripted.ts';

const SECRET = 'test_app_secret';
/** Noon of the day on which the bodies of the set were sent; seconds. */
const TIME_BASE = 1_795_176_000;
const bodies = join(import.meta.dirname, '..', 'fixtures', 'whatsapp', 'bodies');

/** The exact bytes of a body of the set. */
export const load = async (file: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(join(bodies, file)));

/** A body of the set as if it had been sent so many seconds ago. */
export async function sentAgo(file: string, seconds: number): Promise<Uint8Array<ArrayBuffer>> {
  const shift = Math.floor(Date.now() / 1_000) - seconds - TIME_BASE;
  const text = new TextDecoder().decode(await load(file));
  const moved = text.replaceAll(
    /"timestamp":"(\d{10})"/g,
    (_, time) => `"timestamp":"${Number(time) + shift}"`,
  );
  return new TextEncoder().encode(moved);
}

/** A deployment as Meta sees it. */
export interface Webhook {
  /** Begins with an empty database: the bodies of the set are about the same few people. */
  restart(env?: Record<string, string>): Promise<void>;
  readonly api: Api;
  /** Posts a body with its signature. */
  post(raw: Uint8Array<ArrayBuffer>): Promise<Answer>;
  /** Posts bodies of the set one after the other, each worked off before the next. */
  deliver(...files: string[]): Promise<void>;
  /** Every message, in each device's order. */
  rows(): Promise<Record<string, unknown>[]>;
  /** The ones that people sent. */
  users(): Promise<Record<string, unknown>[]>;
  /** Those texts, sorted, a list per device. */
  conversations(): Promise<string[][]>;
  close(): Promise<void>;
}

export function webhook(script: Script): Webhook {
  let current: Api | null = null;
  const hook: Webhook = {
    async restart(env = {}) {
      await current?.close();
      current = await startApi(
        { WHATSAPP_APP_SECRET: SECRET, ...env },
        { registry: script.registry },
      );
    },
    get api() {
      if (current === null) throw new Error('call restart first');
      return current;
    },
    post: (raw) =>
      hook.api.call('POST', '/api/webhooks/whatsapp', {
        raw,
        headers: { 'x-hub-signature-256': `sha256=${signBytes(raw, SECRET)}` },
      }),
    async deliver(...files) {
      for (const file of files) {
        expect((await hook.post(await load(file))).status, file).toBe(200);
        await hook.api.settled();
      }
    },
    rows: () =>
      hook.api.sql(
        `SELECT device_id::text AS device, role, content, status, sent_at, created_at FROM chat_messages
         ORDER BY device_id, seq NULLS LAST, id`,
      ),
    users: async () => (await hook.rows()).filter(({ role }) => role === 'user'),
    async conversations() {
      const byDevice = Map.groupBy(await hook.users(), ({ device }) => device);
      const texts = [...byDevice.values()].map((messages) =>
        messages.map(({ content }) => String(content)),
      );
      return texts
        .map((each) => each.toSorted())
        .toSorted((a, b) => (a.join() < b.join() ? -1 : 1));
    },
    async close() {
      await current?.close();
      current = null;
    },
  };
  return hook;
}
