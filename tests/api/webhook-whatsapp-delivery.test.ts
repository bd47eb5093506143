import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { signBytes } from '../../lib/secrets.ts';
import { recover } from '../../lib/sweep.ts';
import { type Api, startApi } from '../support/api.ts';
import { type Graph, type GraphAnswer, startGraph } from '../support/graph.ts';
import { bodyOf } from '../support/whatsapp.ts';

const SECRET = 'test_app_secret';
const recorded = async (name: string): Promise<GraphAnswer> => {
  const file = join(import.meta.dirname, '..', 'fixtures', 'whatsapp', 'graph', `${name}.json`);
  const schema = z.object({
    status: z.number(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown(),
  });
  return schema.parse(JSON.parse(await readFile(file, 'utf8')));
};

/** Says each of the words it is sent as a message of its own. */
const echo = defineAgent({
  key: 'echo',
  description: 'Repeats',
  matches: () => true,
  answer(turn) {
    for (const word of turn.text.split(/\s+/)) turn.reply(word);
  },
});

describe('a reply on its way', () => {
  let api: Api;
  let graph: Graph;
  let people = 0;
  beforeAll(async () => {
    graph = await startGraph();
    api = await startApi(
      {
        WHATSAPP_APP_SECRET: SECRET,
        WHATSAPP_ACCESS_TOKEN: 'the-access-token',
        WHATSAPP_API_URL: graph.url,
      },
      { registry: createRegistry([echo]) },
    );
  });
  afterAll(async () => {
    await api.close();
    await graph.close();
  });

  const deliver = async (body: string) => {
    const answer = await api.call('POST', '/api/webhooks/whatsapp', {
      raw: body,
      headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
    });
    expect(answer.status).toBe(200);
    await api.settled();
  };
  const say = async (text: string, from = `1202555${1_000 + ++people}`) => {
    await deliver(bodyOf([{ from, body: text }]));
    return from;
  };
  const replies = (phone: string) =>
    api.sql(
      `SELECT m.id::text, m.content, m.status, m.external_id, m.error, m.attempts FROM chat_messages m
       JOIN channel_identities i USING (device_id) WHERE i.value = $1 AND m.role = 'assistant' ORDER BY m.seq`,
      [phone],
    );
  const sentTo = (phone: string) =>
    graph.sent.filter(({ body }) => body.to === phone).map(({ body }) => body.text.body);
  /** Lets what is due come due, and sweeps. */
  const later = async (phone: string) => {
    await api.sql(
      `UPDATE chat_messages SET claim_expires_at = clock_timestamp() WHERE status IN ('pending', 'unknown')
       AND device_id = (SELECT device_id FROM channel_identities WHERE value = $1)`,
      [phone],
    );
    await recover(api.app, { requestId: 'later', endsAt: performance.now() + 60_000 });
  };

  it('goes to the number the message came to, with the token, and carries its id', async () => {
    const phone = await say('hello');
    const [reply] = await replies(phone);
    expect(graph.sent.at(-1)).toEqual({
      path: '/v26.0/200000000000001/messages',
      authorization: 'Bearer the-access-token',
      body: {
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        to: phone,
        type: 'text',
        text: { body: 'hello', preview_url: false },
        biz_opaque_callback_data: reply?.['id'],
      },
    });
    expect(reply).toMatchObject({ status: 'sent', attempts: 1, error: null });
    expect(reply?.['external_id']).toMatch(/^wamid\./);
  });

  it('to a person without a phone goes to the business-scoped id, as recipient', async () => {
    const userId = 'US.10000000000000000104';
    const body = JSON.parse(bodyOf([{ from: 'gone', body: 'hi' }])) as {
      entry: [{ changes: [{ value: { messages: [Record<string, unknown>] } }] }];
    };
    const [message] = body.entry[0].changes[0].value.messages;
    delete message['from'];
    message['from_user_id'] = userId;
    await deliver(JSON.stringify(body));
    expect(graph.sent.at(-1)?.body).toMatchObject({ recipient: userId });
    expect(graph.sent.at(-1)?.body.to).toBeUndefined();
  });

  it('keeps its place: several replies leave in the order in which they were given', async () => {
    const phone = await say('one two three');
    expect(sentTo(phone)).toEqual(['one', 'two', 'three']);
    const rows = await replies(phone);
    expect(rows.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent']);
  });

  it.each([
    'err-131026-undeliverable',
    'err-131047-window',
    'err-131009-bad-parameter',
    'err-190-token',
  ])(
    'refused for good (%s) is sent once, kept as failed with the code, and what follows goes on',
    async (name) => {
      const refusal = await recorded(name);
      graph.answerNext(refusal);
      const phone = await say('one two');
      expect(sentTo(phone)).toEqual(['one', 'two']);
      const { error } = z.object({ error: z.object({ code: z.number() }) }).parse(refusal.body);
      expect(await replies(phone)).toMatchObject([
        { status: 'failed', error: `graph_${error.code}`, attempts: 1 },
        { status: 'sent' },
      ]);
      await later(phone);
      expect(sentTo(phone)).toHaveLength(2);
    },
  );

  it.each([
    'err-130429-throughput',
    'err-131016-unavailable',
    'err-131056-pair-rate',
    'err-2-api-service',
  ])(
    'refused for now (%s) holds the ones behind it, and is sent again when it is due',
    async (name) => {
      graph.answerNext(await recorded(name));
      const phone = await say('one two');
      expect(sentTo(phone)).toEqual(['one']);
      expect((await replies(phone)).map(({ status }) => status)).toEqual(['pending', 'pending']);
      await later(phone);
      expect(sentTo(phone)).toEqual(['one', 'one', 'two']);
      expect((await replies(phone)).map(({ status }) => status)).toEqual(['sent', 'sent']);
    },
  );

  it.each(['err-html-502', 'drop'])(
    'of unknown fate (%s) is reported as unknown and not sent again before RESEND_AFTER',
    async (name) => {
      graph.answerNext(name === 'drop' ? 'drop' : await recorded(name));
      const phone = await say('one');
      expect(await replies(phone)).toMatchObject([{ status: 'unknown' }]);
      await say('two', phone);
      expect(sentTo(phone)).toEqual(['one']);
      const [row] = await api.sql(
        `SELECT extract(epoch FROM claim_expires_at - clock_timestamp())::int AS wait FROM chat_messages
         WHERE status = 'unknown' AND device_id = (SELECT device_id FROM channel_identities WHERE value = $1)`,
        [phone],
      );
      expect(Number(row?.['wait'])).toBeGreaterThan(60);
      await later(phone);
      expect(sentTo(phone)).toEqual(['one', 'one', 'two']);
    },
  );

  it('that cannot reach Meta at all is tried again', async () => {
    const gone = await startGraph();
    await gone.close();
    const away = await startApi(
      {
        WHATSAPP_APP_SECRET: SECRET,
        WHATSAPP_ACCESS_TOKEN: 't',
        WHATSAPP_API_URL: gone.url,
      },
      { registry: createRegistry([echo]) },
    );
    const body = bodyOf([{ from: '12025550001', body: 'hi' }]);
    await away.call('POST', '/api/webhooks/whatsapp', {
      raw: body,
      headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
    });
    await away.settled();
    const rows = await away.sql(`SELECT status FROM chat_messages WHERE role = 'assistant'`);
    expect(rows).toEqual([{ status: 'pending' }]);
    expect(JSON.stringify(away.events)).not.toContain('12025550001');
    await away.close();
  });

  it('without an access token is kept and printed, not sent; its text is not logged', async () => {
    const quiet = await startApi(
      { WHATSAPP_APP_SECRET: SECRET },
      { registry: createRegistry([echo]) },
    );
    const body = bodyOf([{ from: '12025550002', body: 'confidential' }]);
    await quiet.call('POST', '/api/webhooks/whatsapp', {
      raw: body,
      headers: { 'x-hub-signature-256': `sha256=${signBytes(Buffer.from(body), SECRET)}` },
    });
    await quiet.settled();
    const rows = await quiet.sql(
      `SELECT status, content FROM chat_messages WHERE role = 'assistant'`,
    );
    expect(rows).toEqual([{ status: 'printed', content: 'confidential' }]);
    expect(quiet.events.map(({ event }) => event)).toContain('reply_printed');
    expect(JSON.stringify(quiet.events)).not.toMatch(/confidential|12025550002/);
    await quiet.close();
  });
});
