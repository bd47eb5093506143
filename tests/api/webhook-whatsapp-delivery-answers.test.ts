import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { GraphAnswer } from '../support/graph.ts';
import {
  type Line,
  openLine,
  recorded,
  recordedNames,
  SECRET,
  statusOf,
  TOKEN,
} from './delivery.ts';

// Every answer of the Graph API that was recorded, and what becomes of a reply that gets it.

const TAKEN = ['send-ok-phone', 'send-ok-bsuid', 'send-ok-mexico-rewritten'];
const PERMANENT = [
  'err-131009-bad-parameter',
  'err-131026-undeliverable',
  'err-131030-not-in-allowed-list',
  'err-131047-window',
  'err-190-token',
];
/** What the owner of the account has to mend. */
const OWNERS = ['err-131030-not-in-allowed-list', 'err-190-token'];
const SOON = [
  'err-130429-throughput',
  'err-131000-unknown',
  'err-131016-unavailable',
  'err-2-api-service',
];
const LASTING = ['err-131056-pair-rate', 'err-4-app-rate', 'err-80007-waba-rate'];
const UNKNOWN = ['err-html-502'];

const code = (answer: GraphAnswer) =>
  z.object({ error: z.object({ code: z.number() }) }).parse(answer.body).error.code;

describe('a reply that Meta answers with', () => {
  let line: Line;
  beforeAll(async () => {
    line = await openLine();
  });
  afterAll(async () => {
    const { events } = line.api;
    await line.close();
    expect(JSON.stringify(events)).not.toMatch(new RegExp(`1202555\\d{4}|${TOKEN}|${SECRET}`));
  });

  it('nothing is left out of what was recorded', async () => {
    const receipt = 'mark-read-ok'; // see webhook-whatsapp-receipts.test.ts
    const all = [...TAKEN, ...PERMANENT, ...SOON, ...LASTING, ...UNKNOWN, receipt];
    expect(all.toSorted()).toEqual(await recordedNames());
    expect(all).toHaveLength(17);
  });

  it.each(TAKEN)('%s is sent, and known by Meta’s id', async (name) => {
    const answer = await recorded(name);
    line.graph.answerNext(answer);
    const phone = await line.say('one');
    const { messages } = z
      .object({ messages: z.array(z.object({ id: z.string() })) })
      .parse(answer.body);
    expect(await line.replies(phone)).toMatchObject([
      { status: 'sent', external_id: messages[0]?.id, error: null, attempts: 1 },
    ]);
  });

  it.each(PERMANENT)(
    '%s is sent once, kept as failed with its reason, and what follows goes on',
    async (name) => {
      const refusal = await recorded(name);
      line.graph.answerNext(refusal);
      const phone = await line.say('one two');
      expect(line.sentTo(phone)).toEqual(['one', 'two']);
      const error = name.endsWith('window') ? 'outside_window' : `graph_${code(refusal)}`;
      expect(await line.replies(phone)).toMatchObject([
        { status: 'failed', error, attempts: 1 },
        { status: 'sent', error: null },
      ]);
      const level = OWNERS.includes(name) ? 'error' : 'warn';
      expect(line.api.events.findLast(({ event }) => event === 'reply_not_sent')).toMatchObject({
        level,
        error,
      });
      await line.later(phone);
      expect(line.sentTo(phone)).toHaveLength(2);
    },
  );

  it.each(SOON)(
    '%s is tried again after 1, 4 and 16 seconds until it is taken, once, and holds the ones behind it',
    async (name) => {
      const refusal = await recorded(name);
      line.graph.answerNext(refusal, refusal, refusal);
      const phone = await line.sayAndLeave('one two');
      for (const [tries, seconds] of [1, 4, 16].entries()) {
        const rows = await line.untilFirstIs('pending', phone);
        expect(rows).toMatchObject([
          { status: 'pending', error: `graph_${code(refusal)}`, attempts: tries + 1 },
          { status: 'pending', attempts: 0 },
        ]);
        await line.expectDue(phone, seconds);
        await line.later(phone);
      }
      expect(line.sentTo(phone)).toEqual(['one', 'one', 'one', 'one', 'two']);
      expect(await line.replies(phone)).toMatchObject([
        { status: 'sent', error: null, attempts: 4 },
        { status: 'sent', error: null, attempts: 1 },
      ]);
      await line.api.settled();
      expect(line.sentTo(phone)).toHaveLength(5);
    },
  );

  it('the same refusal MAX_ATTEMPTS times is given up, and what is behind it goes on', async () => {
    const refusal = await recorded('err-131016-unavailable');
    line.graph.answerNext(...Array.from({ length: 5 }, () => refusal));
    const phone = await line.sayAndLeave('one two');
    for (let tries = 1; tries < 5; tries++) {
      await line.untilFirstIs('pending', phone);
      await line.later(phone);
      expect(line.sentTo(phone).filter((word) => word === 'one')).toHaveLength(tries + 1);
    }
    expect(await line.replies(phone)).toMatchObject([
      { status: 'failed', error: 'graph_131016', attempts: 5 },
      { status: 'sent' },
    ]);
  });

  it.each(LASTING)('%s is tried again until it is taken, past MAX_ATTEMPTS too', async (name) => {
    const refusal = await recorded(name);
    line.graph.answerNext(...Array.from({ length: 9 }, () => refusal));
    const phone = await line.sayAndLeave('one');
    const waits =
      name === 'err-131056-pair-rate'
        ? [1, 4, 16, 64, 256, 256, 256, 256, 256]
        : [5, 15, 60, 180, 180, 180, 180, 180, 180].map((minutes) => minutes * 60);
    for (const seconds of waits) {
      await line.untilFirstIs('pending', phone);
      await line.expectDue(phone, seconds);
      await line.later(phone);
    }
    expect(line.sentTo(phone)).toHaveLength(10);
    expect(await line.replies(phone)).toMatchObject([{ status: 'sent', error: null }]);
  });

  it('a Retry-After that is longer than the wait is what counts', async () => {
    const refusal = await recorded('err-131016-unavailable');
    line.graph.answerNext({ ...refusal, headers: { ...refusal.headers, 'retry-after': '600' } });
    const phone = await line.say('one');
    await line.untilFirstIs('pending', phone);
    await line.expectDue(phone, 600);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'one']);
  });

  it('a refusal that passes within seconds is overcome by the very call that met it', async () => {
    line.graph.answerNext(await recorded('err-131016-unavailable'));
    const phone = await line.say('one two');
    expect(line.sentTo(phone)).toEqual(['one', 'one', 'two']);
    expect(await line.replies(phone)).toMatchObject([{ status: 'sent' }, { status: 'sent' }]);
  });

  it('while it waits for its next try the person is answered, and the answer goes out behind it', async () => {
    line.graph.answerNext(await recorded('err-131056-pair-rate'));
    const phone = await line.sayAndLeave('one');
    await line.untilFirstIs('pending', phone);
    await line.sayAndLeave('two', phone);
    await line.api.settled();
    expect(line.sentTo(phone)).toEqual(['one', 'one', 'two']);
  });
});

describe('a reply of whose fate nothing is known', () => {
  let line: Line;
  beforeAll(async () => {
    line = await openLine({ RESEND_AFTER: '600' });
  });
  afterAll(() => line.close());

  /** Lets the next reply meet its fate, and the wait for an answer end after a moment where none comes. */
  const meet = async (fate: string, text = 'one'): Promise<string> => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const shorter = vi
      .spyOn(AbortSignal, 'timeout')
      .mockImplementation((ms) => timeout(ms === 10_000 ? 300 : ms));
    line.graph.answerNext(fate === 'drop' || fate === 'hang' ? fate : await recorded(fate));
    const phone = await line.say(text);
    shorter.mockRestore();
    return phone;
  };

  it.each([...UNKNOWN, 'drop', 'hang'])(
    '%s: it is reported, and neither it nor what is behind it is sent before RESEND_AFTER',
    async (fate) => {
      const phone = await meet(fate, 'one two');
      expect(await line.replies(phone)).toMatchObject([
        { status: 'unknown', attempts: 1 },
        { status: 'pending', attempts: 0 },
      ]);
      await line.say('three', phone);
      expect(line.sentTo(phone)).toEqual(['one']);
      await line.expectDue(phone, 600);
      await line.later(phone);
      expect(line.sentTo(phone)).toEqual(['one', 'one', 'two', 'three']);
      const rows = await line.replies(phone);
      expect(rows.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent']);
      const ids = line.graph.sent.filter(({ body }) => body.to === phone);
      expect(ids[0]?.body.biz_opaque_callback_data).toBe(ids[1]?.body.biz_opaque_callback_data);
    },
  );

  it.each([...UNKNOWN, 'drop', 'hang'])(
    '%s: once its status arrives it is never sent again, and what is behind it goes out',
    async (fate) => {
      const phone = await meet(fate, 'one two');
      const [reply] = await line.replies(phone);
      const wamid = `wamid.${phone}`;
      await line.post(statusOf({ wamid, id: String(reply?.['id']) }, 'delivered'));
      expect(await line.replies(phone)).toMatchObject([
        { status: 'delivered', external_id: wamid, error: null },
        { status: 'pending' },
      ]);
      await line.later(phone);
      expect(line.sentTo(phone)).toEqual(['one', 'two']);
    },
  );

  it('a status that says it failed for good ends it', async () => {
    const phone = await meet('drop');
    const [reply] = await line.replies(phone);
    await line.post(statusOf({ wamid: 'wamid.lost', id: String(reply?.['id']) }, 'failed', 131026));
    expect(await line.replies(phone)).toMatchObject([{ status: 'failed', error: 'graph_131026' }]);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one']);
  });

  it('a status that says it failed for now has it sent again when that has passed', async () => {
    const phone = await line.say('one');
    const [reply] = await line.replies(phone);
    const wamid = String(reply?.['external_id']);
    await line.post(statusOf({ wamid }, 'failed', 131056));
    expect(await line.replies(phone)).toMatchObject([
      { status: 'pending', error: 'graph_131056', attempts: 1 },
    ]);
    await line.expectDue(phone, 16);
    await line.later(phone);
    expect(line.sentTo(phone)).toEqual(['one', 'one']);
  });
});
