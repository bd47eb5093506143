import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { until, within } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { answerOf, type Visitor, visitor } from './web.ts';

// The web webhook when things go wrong between a message and its answer: repeated, delayed, failed, cut off.

const script = scripted();

let api: Api;
let page: Visitor;

beforeAll(async () => {
  api = await startApi({ REPLY_WAIT: '3', MAX_ATTEMPTS: '1' }, { registry: script.registry });
});
beforeEach(() => {
  script.reset();
  page = visitor(api, crypto.randomUUID());
});
afterEach(async () => {
  api.wire.resume();
  await api.settled();
});
afterAll(() => api.close());

const working = (turns = 1) =>
  until('the agent is at work', async () => script.turns.length === turns);
const fail = () =>
  script.play(() => {
    throw new Error('the model is out');
  });

describe('the same message_id again gives the first answer and runs nothing', () => {
  test('with other words and other metadata too', async () => {
    const first = answerOf(await page.send('Hello', 'm1', { a: 1 }));
    const before = await api.stored();

    const second = answerOf(await page.send('other words', 'm1', { b: 2 }));

    expect(second).toEqual(first);
    expect(script.turns).toEqual([['Hello']]);
    expect((await api.stored())['chat_messages']).toBe(before['chat_messages']);
  });

  test('with all its replies, their agents and their metadata', async () => {
    script.play((turn) => {
      turn.reply('one', { buttons: ['yes', 'no'] });
      turn.reply('two');
    });
    const first = answerOf(await page.send('Hello', 'm1'));
    expect(first.replies).toEqual([
      {
        content: 'one',
        agent: 'manager',
        metadata: { buttons: ['yes', 'no'] },
        in_reply_to: ['m1'],
      },
      { content: 'two', agent: 'manager', metadata: {}, in_reply_to: ['m1'] },
    ]);

    expect(answerOf(await page.send('Hello', 'm1'))).toEqual(first);
  });

  test('also where the agent had nothing to say', async () => {
    script.play(() => {});
    const first = answerOf(await page.send('Hello', 'm1'));
    expect(first.replies).toEqual([]);

    expect(answerOf(await page.send('Hello', 'm1'))).toEqual(first);
  });

  test('after the conversation has gone on: not the replies of later messages', async () => {
    const first = answerOf(await page.send('one', 'm1'));
    await page.send('two', 'm2');
    await page.send('three', 'm3');

    expect(answerOf(await page.send('one', 'm1'))).toEqual(first);
  });

  test('of twenty copies at once all get the one answer, and one turn runs', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => page.send('Hello', 'm1')));

    for (const answer of answers) expect(answer.json).toEqual(answers[0]?.json);
    expect(answerOf(await page.send('Hello', 'm1')).replies).toHaveLength(1);
    expect(script.turns).toEqual([['Hello']]);
  });

  test('while the first is still at work it waits for that answer', async () => {
    const release = script.hold();
    const first = page.send('Hello', 'm1');
    await working();
    const second = page.send('Hello', 'm1');

    release();

    expect((await second).json).toEqual((await first).json);
    expect(script.turns).toEqual([['Hello']]);
  });
});

describe('202 queued', () => {
  test('after REPLY_WAIT seconds, for a copy of a message that is still worked on too', async () => {
    const release = script.hold();
    const first = page.send('Hello', 'm1');
    await working();

    const started = performance.now();
    const answer = await within(30, 'the answer', page.send('Hello', 'm1'));
    const waited = performance.now() - started;
    release();

    expect([answer.status, answer.json]).toEqual([202, { message_id: 'm1', queued: true }]);
    expect(waited).toBeGreaterThan(2_000);
    expect(answerOf(await first).replies).toHaveLength(1);
  });

  test('a message_id is told also to who sent none, to ask again by it', async () => {
    const release = script.hold();
    const first = page.send('one');
    await working();
    const { status, json } = await page.send('two');
    expect([status, json]).toEqual([202, { message_id: expect.any(String), queued: true }]);
    release();
    await first;
    await api.settled();

    const id = String(Reflect.get(Object(json), 'message_id'));
    expect(answerOf(await page.send('two', id)).replies).toMatchObject([{ content: 're two' }]);
  });
});

describe('500 agent_failed', () => {
  test('comes at once when there is no further try, not after a wait', async () => {
    fail();

    expectProblem(await within(30, 'the refusal', page.send('Hello', 'm1')), 500, 'agent_failed');
  });

  test('the message set aside runs no more, and holds nobody up: the next one is answered', async () => {
    fail();
    await page.send('Hello', 'm1');
    await api.settled();
    script.reset();

    const answer = await within(30, 'the next answer', page.send('Are you well?', 'm2'));

    expect(answerOf(answer).replies).toMatchObject([
      { content: 're Are you well?', in_reply_to: ['m2'] },
    ]);
    expect(await page.rows()).toMatchObject([
      { content: 'Are you well?', seq: 1 },
      { content: 're Are you well?', seq: 2 },
      { content: 'Hello', status: 'failed', seq: null },
    ]);
  });

  test('a state too large for MAX_STATE_BYTES is a failure like any other, and nothing of the turn is written', async () => {
    script.play((turn) => {
      turn.setState({ notes: 'x'.repeat(1_100_000) });
      turn.reply('noted');
    });

    expectProblem(await page.send('Hello', 'm1'), 500, 'agent_failed');

    expect(await page.rows()).toMatchObject([{ role: 'user', status: 'failed' }]);
    const { json } = await api.call('GET', '/api/state', { device: page.device });
    expect(json).toMatchObject({ state: {} });
  });
});

describe('503 storage_unavailable', () => {
  test('the database goes away during the answer: the message is not lost, and answered once it is back', async () => {
    const patient = await startApi({}, { registry: script.registry });
    try {
      const visit = visitor(patient, crypto.randomUUID());
      script.play((turn) => {
        turn.reply('never heard');
        patient.wire.cut();
      });
      expectProblem(
        await within(10, 'the refusal', visit.send('Hello', 'm1')),
        503,
        'storage_unavailable',
      );
      await patient.settled();
      patient.wire.resume();
      script.reset();
      expect(await visit.rows()).toMatchObject([{ content: 'Hello', status: 'waiting' }]);

      await visit.letLeaseLapse();

      expect(answerOf(await visit.send('Hello', 'm1')).replies).toMatchObject([
        { content: 're Hello' },
      ]);
    } finally {
      await patient.close();
    }
  });

  test('with STATELESS_FALLBACK the manager answers also when the database does not answer at all', async () => {
    const alone = await startApi({ STATELESS_FALLBACK: 'true' });
    try {
      const visit = visitor(alone, crypto.randomUUID());
      await visit.send('Hello');
      alone.wire.hang();

      const answer = await within(10, 'the answer', visit.send('Hello', 'm1'));

      expect([answer.status, answer.json]).toMatchObject([
        200,
        {
          message_id: 'm1',
          persisted: false,
          replies: [{ agent: 'manager', in_reply_to: ['m1'] }],
        },
      ]);
    } finally {
      alone.wire.resume();
      await alone.close();
    }
  });

  test('STATELESS_FALLBACK is for the web chat alone', async () => {
    const alone = await startApi({ STATELESS_FALLBACK: 'true' });
    try {
      alone.wire.cut();
      const device = crypto.randomUUID();
      const body = { message_id: 'm1', content: 'Hello' };

      expectProblem(
        await alone.call('POST', '/api/turn', { device, body }),
        503,
        'storage_unavailable',
      );
      expectProblem(await alone.call('GET', '/api/lock', { device }), 503, 'storage_unavailable');
    } finally {
      await alone.close();
    }
  });
});
