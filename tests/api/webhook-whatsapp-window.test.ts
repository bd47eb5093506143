import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineAgent } from '../../lib/agents/agent.ts';
import { createRegistry } from '../../lib/agents/registry.ts';
import { type Line, openLine, recorded, statusOf } from './delivery.ts';

// A business may answer freely for 24 hours after the person wrote; after that WhatsApp takes templates alone.

/** Says something that cannot be sent for as long as the window is open. */
async function sayTooLate(line: Line, text: string): Promise<string> {
  line.graph.answerNext(await recorded('err-4-app-rate'));
  const phone = await line.say(text);
  await line.untilFirstIs('pending', phone);
  return phone;
}

describe('a reply that would come more than 24 hours after the person wrote', () => {
  let line: Line;
  beforeAll(async () => {
    line = await openLine();
  });
  afterAll(() => line.close());

  it('is not sent, and kept with its reason, as are the ones behind it', async () => {
    const phone = await sayTooLate(line, 'one two');
    await line.age(phone, 25);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one']);
    expect(await line.replies(phone)).toMatchObject([
      { content: 'one', status: 'failed', error: 'outside_window' },
      { content: 'two', status: 'failed', error: 'outside_window' },
    ]);
    await line.later(phone);
    expect(line.sentTo(phone)).toHaveLength(1);
  });

  it('is sent while the 24 hours last', async () => {
    const phone = await sayTooLate(line, 'one two');
    await line.age(phone, 23);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'one', 'two']);
  });

  it('is sent once the person has written again', async () => {
    const phone = await sayTooLate(line, 'one');
    await line.age(phone, 25);
    await line.say('two', phone);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'one', 'two']);
  });

  it('refused by Meta’s own clock has the same reason', async () => {
    line.graph.answerNext(await recorded('err-131047-window'));
    const phone = await line.say('one');
    expect(await line.replies(phone)).toMatchObject([
      { status: 'failed', error: 'outside_window' },
    ]);
  });

  it('is sent if it is a template', async () => {
    const reminder = defineAgent({
      key: 'reminder',
      description: 'Reminds',
      matches: () => true,
      answer: (turn) => turn.reply({ kind: 'template', name: 'reminder', language: 'en_US' }),
    });
    const other = await openLine({}, createRegistry([reminder]));
    const phone = await sayTooLate(other, 'hi');
    await other.age(phone, 25);
    await other.later(phone);
    expect(other.sentTo(phone)).toEqual(['template', 'template']);
    await other.close();
  });
});

describe('with WHATSAPP_REOPEN_TEMPLATE', () => {
  let line: Line;
  beforeAll(async () => {
    line = await openLine({ WHATSAPP_REOPEN_TEMPLATE: 'reopen_chat:pt_BR' });
  });
  afterAll(() => line.close());

  it('the template goes out once in the place of all that came too late, as a reply of its own', async () => {
    const phone = await sayTooLate(line, 'one two three');
    await line.age(phone, 25);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'template']);
    const rows = await line.replies(phone);
    expect(rows).toMatchObject([
      { content: 'one', status: 'failed', error: 'outside_window' },
      { content: 'two', status: 'failed', error: 'outside_window' },
      { content: 'three', status: 'failed', error: 'outside_window' },
      { content: '', status: 'sent', error: null },
    ]);
    const template = line.graph.sent.at(-1)?.body;
    expect(template?.template).toEqual({ name: 'reopen_chat', language: { code: 'pt_BR' } });
    expect(template?.biz_opaque_callback_data).toBe(rows[3]?.['id']);
    // its statuses are its own
    await line.post(statusOf({ wamid: String(rows[3]?.['external_id']) }, 'read'));
    expect((await line.replies(phone)).map(({ status }) => status)).toEqual([
      'failed',
      'failed',
      'failed',
      'read',
    ]);
    await line.later(phone);
    expect(line.sentTo(phone)).toHaveLength(2);
  });

  it('it goes out where Meta says that the window is closed, too, and its own refusal ends it', async () => {
    const refusal = await recorded('err-131047-window');
    line.graph.answerNext(refusal, refusal);
    const phone = await line.say('one');
    expect(line.sentTo(phone)).toEqual(['one', 'template']);
    expect((await line.replies(phone)).map(({ error }) => error)).toEqual([
      'outside_window',
      'outside_window',
    ]);
  });

  it('it is not sent again before the person has written, and then again if need be', async () => {
    const refusal = await recorded('err-131047-window');
    line.graph.answerNext(refusal);
    const phone = await line.say('one two');
    expect(line.sentTo(phone)).toEqual(['one', 'two', 'template']);
    line.graph.answerNext(refusal);
    await line.say('three', phone);
    expect(line.sentTo(phone)).toEqual(['one', 'two', 'template', 'three', 'template']);
  });

  it('it is tried again like any other reply, and never sent twice for an answer that was lost', async () => {
    line.graph.answerNext(await recorded('err-131047-window'), 'drop');
    const phone = await line.say('one');
    const [, template] = await line.replies(phone);
    expect(template).toMatchObject({ status: 'unknown', attempts: 1 });
    const told = { wamid: 'wamid.template', id: String(template?.['id']) };
    await line.post(statusOf(told, 'delivered'));
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'template']);
    expect(await line.replies(phone)).toMatchObject([
      { status: 'failed', error: 'outside_window' },
      { status: 'delivered' },
    ]);
  });
});
