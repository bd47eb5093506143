import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/waiting.ts';
import { bodyOf } from '../support/whatsapp.ts';
import { type Line, openLine, recorded } from './delivery.ts';
import { scripted } from './scripted.ts';

describe('while an agent works', () => {
  const script = scripted();
  let line: Line;
  beforeAll(async () => {
    line = await openLine({}, script.registry);
  });
  afterEach(async () => {
    script.reset();
    line.graph.answerReceipts(await recorded('mark-read-ok'));
  });
  afterAll(() => line.close());

  const receiptOf = async (id: string) => {
    const seen = () => line.graph.receipts.filter(({ body }) => body.message_id === id);
    await until('the receipt is there', () => Promise.resolve(seen().length > 0));
    return seen();
  };

  it('the newest of its messages is marked as read, and somebody is seen typing', async () => {
    const letGo = script.hold();
    const from = '12025550401';
    await line.post(
      bodyOf([
        { id: 'wamid.first', from, body: 'one' },
        { id: 'wamid.second', from, body: 'two' },
      ]),
    );
    expect(await receiptOf('wamid.second')).toEqual([
      {
        path: '/v26.0/200000000000001/messages',
        authorization: 'Bearer the-access-token',
        body: {
          messaging_product: 'whatsapp',
          status: 'read',
          message_id: 'wamid.second',
          typing_indicator: { type: 'text' },
        },
      },
    ]);
    expect(line.sentTo(from)).toEqual([]);
    letGo();
    await line.api.settled();
    expect(line.sentTo(from)).toEqual(['re one\ntwo']);
    expect(line.graph.receipts.map(({ body }) => body.message_id)).toEqual(['wamid.second']);
  });

  it.each(['hang', 'drop', 'err-131000-unknown', 'err-190-token', 'err-html-502'])(
    'a receipt that comes to nothing (%s) neither delays the answer nor fails it',
    async (fate) => {
      line.graph.answerReceipts(fate === 'hang' || fate === 'drop' ? fate : await recorded(fate));
      const id = `wamid.${fate}`;
      const from = '12025550402';
      const before = line.sentTo(from).length;
      await line.post(bodyOf([{ id, from, body: 'hi' }]));
      await line.api.settled();
      expect(line.sentTo(from)).toHaveLength(before + 1);
      expect(await receiptOf(id)).toHaveLength(1);
      expect((await line.replies(from)).at(-1)).toMatchObject({ status: 'sent', error: null });
    },
  );

  it('on the web nobody is told', async () => {
    const before = line.graph.receipts.length;
    await line.api.call('POST', '/api/webhooks/web', {
      device: crypto.randomUUID(),
      body: { message: 'hi', message_id: 'wamid.web' },
    });
    await line.api.settled();
    expect(line.graph.receipts).toHaveLength(before);
  });
});
