import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { createRegistry, type Registry } from '../../lib/agents/registry.ts';
import { defineAgent } from '../../lib/agents/agent.ts';
import { signBytes } from '../support/sign.ts';
import { recover } from '../../lib/sweep.ts';
import { type Api, startApi } from '../support/api.ts';
import { until } from '../support/waiting.ts';
import { type Graph, type GraphAnswer, startGraph } from '../support/graph.ts';
import { bodyOf } from '../support/whatsapp.ts';

export const SECRET = 'test_app_secret';
export const TOKEN = 'the-access-token';
const fixtures = join(import.meta.dirname, '..', 'fixtures', 'whatsapp', 'graph');

/** The names of the recorded answers of the Graph API. */
export const recordedNames = async (): Promise<string[]> =>
  (await readdir(fixtures)).map((file) => file.replace(/\.json$/, '')).toSorted();

/** One of the recorded answers. */
export async function recorded(name: string): Promise<GraphAnswer> {
  const schema = z.object({
    status: z.number(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown(),
  });
  return schema.parse(JSON.parse(await readFile(join(fixtures, `${name}.json`), 'utf8')));
}

/** Says each of the words it is sent as a message of its own. */
const echo = defineAgent({
  key: 'echo',
  description: 'Repeats',
  matches: () => true,
  answer(turn) {
    for (const word of turn.text.split(/\s+/)) turn.reply(word);
  },
});

/** A deployment that sends to a stand-in for Meta, and the people it talks to. */
export interface Line {
  api: Api;
  graph: Graph;
  /** Posts a body with its signature; the work behind it goes on. */
  post(body: string): Promise<void>;
  /** Says something as somebody new, or as this number, and waits until all of it is worked off. */
  say(text: string, from?: string): Promise<string>;
  /** The same without waiting; the number is somebody new's. */
  sayAndLeave(text: string, from?: string): Promise<string>;
  /** What was said to a number, in order. */
  replies(phone: string): Promise<Record<string, unknown>[]>;
  /** Waits until the first reply has this status, and gives all of them. */
  untilFirstIs(status: string, phone: string): Promise<Record<string, unknown>[]>;
  /** The texts that went out to a number. */
  sentTo(phone: string): string[];
  /** The first unsettled reply is due so many seconds after the Graph API last answered for this number. */
  expectDue(phone: string, seconds: number): Promise<void>;
  /** Lets what is due come due, and sweeps. */
  later(phone: string): Promise<void>;
  /** Makes everything of the person so many hours older. */
  age(phone: string, hours: number): Promise<void>;
  close(): Promise<void>;
}

let people = 0;

export async function openLine(
  env: Record<string, string> = {},
  registry: Registry = createRegistry([echo]),
): Promise<Line> {
  const graph = await startGraph();
  const api = await startApi(
    {
      WHATSAPP_APP_SECRET: SECRET,
      WHATSAPP_ACCESS_TOKEN: TOKEN,
      WHATSAPP_API_URL: graph.url,
      ...env,
    },
    { registry },
  );
  const line: Line = {
    api,
    graph,
    async post(body) {
      const answer = await api.call('POST', '/api/webhooks/whatsapp', {
        raw: body,
        headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
      });
      expect(answer.status).toBe(200);
    },
    async say(text, from) {
      const phone = await line.sayAndLeave(text, from);
      await api.settled();
      return phone;
    },
    async sayAndLeave(text, from = `1202555${1_000 + ++people}`) {
      await line.post(bodyOf([{ from, body: text }]));
      return from;
    },
    replies: (phone) =>
      api.sql(
        `SELECT m.id::text, m.content, m.metadata, m.status, m.external_id, m.error, m.attempts FROM chat_messages m
         JOIN channel_identities i USING (device_id)
         WHERE i.kind = 'phone' AND i.value = $1 AND m.role = 'assistant' ORDER BY m.seq`,
        [phone],
      ),
    async untilFirstIs(status, phone) {
      await until(`the first reply is ${status}`, async () => {
        const [first] = await line.replies(phone);
        return first?.['status'] === status;
      });
      return line.replies(phone);
    },
    sentTo: (phone) =>
      graph.sent
        .filter(({ body }) => body.to === phone)
        .map(({ body }) => (body.type === 'text' ? body.text.body : body.type)),
    async expectDue(phone, seconds) {
      const [row] = await api.sql(
        `SELECT extract(epoch FROM claim_expires_at) * 1000 AS due, extract(epoch FROM clock_timestamp()) * 1000 AS now
         FROM chat_messages JOIN channel_identities i USING (device_id)
         WHERE i.value = $1 AND status IN ('pending', 'unknown') ORDER BY seq LIMIT 1`,
        [phone],
      );
      const due = Number(row?.['due']);
      // between the answer and now, whatever time has passed since on a busy machine
      expect(due).toBeGreaterThanOrEqual(Number(graph.answeredAt.get(phone)) + seconds * 1_000);
      expect(due).toBeLessThanOrEqual(Number(row?.['now']) + seconds * 1_000);
    },
    async later(phone) {
      await api.sql(
        `UPDATE chat_messages SET claim_expires_at = clock_timestamp() - interval '1 second' WHERE status IN ('pending', 'unknown')
         AND device_id = (SELECT device_id FROM channel_identities WHERE kind = 'phone' AND value = $1)`,
        [phone],
      );
      await recover(api.app, { requestId: 'later', endsAt: performance.now() + 60_000 });
    },
    async age(phone, hours) {
      await api.sql(
        `UPDATE chat_messages SET sent_at = sent_at - $2::int * interval '1 hour', created_at = created_at - $2::int * interval '1 hour'
         WHERE device_id = (SELECT device_id FROM channel_identities WHERE kind = 'phone' AND value = $1)`,
        [phone, hours],
      );
    },
    async close() {
      // nobody waits any more for what could not be sent, and the workers find nothing to try again
      await api.sql(
        `UPDATE chat_messages SET status = 'failed' WHERE status IN ('pending', 'unknown')`,
      );
      await api.settled();
      await api.close();
      await graph.close();
    },
  };
  return line;
}

/** A webhook body that tells what became of a reply. */
export function statusOf(
  reply: { wamid: string; id?: string },
  status: string,
  code?: number,
): string {
  const entry = {
    id: reply.wamid,
    status,
    timestamp: String(Math.floor(Date.now() / 1_000)),
    recipient_id: '12025550101',
    ...(reply.id !== undefined && { biz_opaque_callback_data: reply.id }),
    ...(code !== undefined && { errors: [{ code, title: 'said in words' }] }),
  };
  const metadata = { display_phone_number: '12025550199', phone_number_id: '200000000000001' };
  const value = { messaging_product: 'whatsapp', metadata, statuses: [entry] };
  return JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '100000000000001', changes: [{ value, field: 'messages' }] }],
  });
}
