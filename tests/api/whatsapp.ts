import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { type Graph, startGraph } from '../support/graph.ts';
import { type Answer, type Api, type Parts, startApi } from '../support/api.ts';
import { signBytes } from '../support/sign.ts';
import type { Script } from './scripted.ts';

const SECRET = 'test_app_secret';
/** Noon of the day on which the bodies of the set were sent; seconds. */
const TIME_BASE = 1_795_176_000;
const fixtures = join(import.meta.dirname, '..', 'fixtures', 'whatsapp');

/** The exact bytes of a body of the set. */
export const recorded = async (file: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(join(fixtures, 'bodies', file)));

/** A body of the set as if it had been sent so many seconds ago. */
export async function sentAgo(file: string, seconds: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await recorded(file);
  if (file.endsWith('.raw')) return bytes;
  const shift = Math.floor(Date.now() / 1_000) - seconds - TIME_BASE;
  const moved = new TextDecoder()
    .decode(bytes)
    .replaceAll(/"timestamp":"(\d{10})"/g, (_, time) => `"timestamp":"${Number(time) + shift}"`);
  return new TextEncoder().encode(moved);
}

/** A body of the set as it comes in: older than a day it would only be kept. */
export const load = (file: string): Promise<Uint8Array<ArrayBuffer>> => sentAgo(file, 60);

const inbound = z.object({
  person: z.string(),
  bsuid: z.string().nullable(),
  wa_id: z.string().nullable(),
  wamid: z.string(),
  type: z.string(),
  phone_number_id: z.string(),
  turn: z.enum(['agent', 'canned', 'none']),
  text: z.string().optional(),
  text_starts: z.string().optional(),
  text_utf16_units: z.number().optional(),
  choice: z.string().optional(),
  optional: z.boolean().optional(),
  dup_of: z.string().optional(),
});
export type ExpectedMessage = z.output<typeof inbound>;
/** The message that a status is about, and the status. */
const told = z.tuple([z.string(), z.string()]);
const expectation = z.object({
  http: z.number(),
  http_also: z.array(z.number()),
  // of the largest body only the number and the first are written down
  inbound: z.union([z.array(inbound), z.object({ count: z.number(), first: inbound })]),
  statuses: z.union([z.array(told), z.object({ count: z.number(), first: told })]),
  events: z.array(z.string()),
});
export type Expectation = z.output<typeof expectation>;

/** What each body of the set must lead to. */
export const expectations: Readonly<Record<string, Expectation>> = z
  .record(z.string(), expectation)
  .parse(JSON.parse(await readFile(join(fixtures, 'meta', 'EXPECTED.json'), 'utf8')));

/** The numbers that the bodies of the set are for. */
export const NUMBERS = '200000000000001,200000000000002,200000000000003';

/** A deployment as Meta sees it. */
export interface Webhook {
  /** Begins with an empty database: the bodies of the set are about the same few people. */
  restart(env?: Record<string, string>, parts?: Parts): Promise<void>;
  /** Forgets everything, and goes on with the same settings. */
  forget(): Promise<void>;
  readonly api: Api;
  /** Posts a body with its signature. @param watched what may not be logged, where that is not the body */
  post(raw: Uint8Array<ArrayBuffer>, watched?: Uint8Array): Promise<Answer>;
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

/** Begins with an empty database, as a deployment whose replies go to a stand-in for Meta. */
export async function restartWithGraph(hook: Webhook, parts: Parts = {}): Promise<Graph> {
  const graph = await startGraph();
  const env = {
    WHATSAPP_PHONE_NUMBER_IDS: NUMBERS,
    WHATSAPP_ACCESS_TOKEN: 'token',
    WHATSAPP_API_URL: graph.url,
  };
  await hook.restart(env, parts);
  return graph;
}

export function webhook(script: Script): Webhook {
  let current: Api | null = null;
  const hook: Webhook = {
    async restart(env = {}, parts = {}) {
      await current?.close();
      current = await startApi(
        { WHATSAPP_APP_SECRET: SECRET, ...env },
        { registry: script.registry, ...parts },
      );
    },
    async forget() {
      await hook.api.settled();
      // of a few rows quicker than TRUNCATE
      await hook.api
        .sql(`WITH a AS (DELETE FROM conversation_states), b AS (DELETE FROM chat_sessions),
        c AS (DELETE FROM chat_messages), d AS (DELETE FROM channel_identities) DELETE FROM lock_events`);
    },
    get api() {
      if (current === null) throw new Error('call restart first');
      return current;
    },
    post: (raw, watched = raw) =>
      hook.api.call('POST', '/api/webhooks/whatsapp', {
        raw,
        watched,
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
