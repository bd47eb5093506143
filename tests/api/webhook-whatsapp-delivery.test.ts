import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { startGraph } from '../support/graph.ts';
import { bodyOf } from '../support/whatsapp.ts';
import { type Line, openLine } from './delivery.ts';

describe('a reply on its way', () => {
  let line: Line;
  beforeAll(async () => {
    line = await openLine();
  });
  afterAll(() => line.close());

  it('goes to the number the message came to, with the token, and carries its id', async () => {
    const phone = await line.say('hello');
    const [reply] = await line.replies(phone);
    expect(line.graph.sent.at(-1)).toEqual({
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

  it('leaves from the number the message came to, where there are several', async () => {
    await line.post(bodyOf([{ from: '12025550301', body: 'hi' }], '200000000000002'));
    await line.api.settled();
    expect(line.graph.sent.at(-1)?.path).toBe('/v26.0/200000000000002/messages');
  });

  it('to a person without a phone goes to the business-scoped id, as recipient', async () => {
    const userId = 'US.10000000000000000104';
    const body = JSON.parse(bodyOf([{ from: 'gone', body: 'hi' }])) as {
      entry: [{ changes: [{ value: { messages: [Record<string, unknown>] } }] }];
    };
    const [message] = body.entry[0].changes[0].value.messages;
    delete message['from'];
    message['from_user_id'] = userId;
    await line.post(JSON.stringify(body));
    await line.api.settled();
    expect(line.graph.sent.at(-1)?.body).toMatchObject({ recipient: userId });
    expect(line.graph.sent.at(-1)?.body.to).toBeUndefined();
  });

  it('keeps its place: several replies leave in the order in which they were given', async () => {
    const phone = await line.say('one two three');
    expect(line.sentTo(phone)).toEqual(['one', 'two', 'three']);
    const rows = await line.replies(phone);
    expect(rows.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent']);
  });

  it('of 10,000 characters leaves as three messages, each a reply of its own', async () => {
    const long = 'x'.repeat(10_000);
    const phone = await line.say(long);
    expect(line.sentTo(phone).map((part) => part.length)).toEqual([4_096, 4_096, 1_808]);
    expect(line.sentTo(phone).join('')).toBe(long);
    const rows = await line.replies(phone);
    expect(new Set(rows.map(({ external_id: wamid }) => wamid)).size).toBe(3);
    expect(rows.map(({ content }) => content)).toEqual(line.sentTo(phone));
  });

  it('that cannot reach Meta at all is tried again, and no number stands in the log', async () => {
    const gone = await startGraph();
    await gone.close();
    const away = await openLine({ WHATSAPP_API_URL: gone.url });
    const phone = await away.sayAndLeave('hi');
    expect(await away.untilFirstIs('pending', phone)).toMatchObject([
      { error: 'ECONNREFUSED', attempts: 1 },
    ]);
    expect(JSON.stringify(away.api.events)).not.toContain(phone);
    await away.close();
  });

  it('without an access token is kept and printed, not sent; its text is not logged', async () => {
    const quiet = await openLine({ WHATSAPP_ACCESS_TOKEN: '' });
    const phone = await quiet.say('confidential');
    expect(await quiet.replies(phone)).toMatchObject([
      { status: 'printed', content: 'confidential' },
    ]);
    expect(quiet.api.events.map(({ event }) => event)).toContain('reply_printed');
    expect(JSON.stringify(quiet.api.events)).not.toMatch(new RegExp(`confidential|${phone}`));
    expect([...quiet.graph.sent, ...quiet.graph.receipts]).toEqual([]);
    await quiet.close();
  });
});

describe('more than a text', () => {
  const waiter = defineAgent({
    key: 'waiter',
    description: 'Offers what there is',
    matches: () => true,
    answer(turn) {
      const [message] = turn.messages;
      turn.reply({
        kind: 'buttons',
        text: 'Coffee?',
        buttons: [
          { id: 'yes', title: 'Yes' },
          { id: 'no', title: 'No' },
        ],
        quote: message?.messageId ?? '',
      });
      turn.reply({ kind: 'image', id: '1013859600285441', text: 'Today’s cake' });
    },
  });

  it('leaves in the shape of its kind, and stays in the history as the agent gave it', async () => {
    const line = await openLine({}, createRegistry([waiter]));
    const id = 'wamid.the-question';
    await line.post(bodyOf([{ id, from: '12025550302', body: 'hi' }]));
    await line.api.settled();
    const buttons = [
      { id: 'yes', title: 'Yes' },
      { id: 'no', title: 'No' },
    ];
    expect(line.graph.sent.map(({ body }) => body)).toMatchObject([
      {
        to: '12025550302',
        type: 'interactive',
        context: { message_id: id },
        interactive: {
          type: 'button',
          body: { text: 'Coffee?' },
          action: { buttons: buttons.map((reply) => ({ type: 'reply', reply })) },
        },
      },
      { type: 'image', image: { id: '1013859600285441', caption: 'Today’s cake' } },
    ]);
    expect(await line.replies('12025550302')).toMatchObject([
      { content: 'Coffee?', metadata: { reply: { kind: 'buttons', buttons, quote: id } } },
      { content: 'Today’s cake', metadata: { reply: { kind: 'image', id: '1013859600285441' } } },
    ]);
    await line.close();
  });

  it('is shown to a web page as data', async () => {
    const line = await openLine({}, createRegistry([waiter]));
    const { json } = await line.api.call('POST', '/api/webhooks/web', {
      device: crypto.randomUUID(),
      body: { message: 'hi', message_id: 'm1' },
    });
    expect(json).toMatchObject({
      replies: [
        { content: 'Coffee?', metadata: { reply: { kind: 'buttons' } } },
        { content: 'Today’s cake', metadata: { reply: { kind: 'image' } } },
      ],
    });
    expect(line.graph.sent).toEqual([]);
    await line.close();
  });
});
