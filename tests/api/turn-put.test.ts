import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { granted, keptTurn, said, type Worker, worker } from './turns.ts';

let api: Api;
let device: Worker;

beforeAll(async () => {
  api = await startApi({ MAX_STATE_BYTES: '4096' });
});
beforeEach(() => {
  device = worker(api, crypto.randomUUID());
});
afterAll(() => api.close());

const take = async (id = 'm1') => granted(await device.submit(id)).turn.token;
const released = { turn: null };
const refusePut = (code: readonly [number, string], body: object, of = device) =>
  refuse(api, code, 'PUT', '/api/turn', { device: of.device, body });

describe('200: the turn is answered and released', () => {
  test('the messages that were handed over and the replies stand in the history, in this order', async () => {
    const token = await take();

    const answer = await device.answer(token, {
      replies: [{ content: 'one', metadata: { buttons: ['yes'] } }, { content: 'two' }],
    });

    expect([answer.status, answer.json]).toEqual([200, released]);
    const { history } = granted(await device.submit('m2'));
    expect(said(history)).toEqual(['user: text of m1', 'assistant: one', 'assistant: two']);
    expect(history.map(({ metadata }) => metadata)).toEqual([{}, { buttons: ['yes'] }, {}]);
    expect((await device.rows()).map(({ seq }) => seq)).toEqual([1, 2, 3, null]);
  });

  test('without replies the messages are answered all the same', async () => {
    const answer = await device.answer(await take(), {});

    expect(answer.json).toEqual(released);
    expect(await device.rows()).toMatchObject([{ seq: 1, status: 'answered' }]);
    expect((await device.poll()).json).toEqual(released);
  });

  test('all of it is written at once: replies, state and lock', async () => {
    await device.answer(await take(), {
      replies: [{ content: 'Hi' }],
      state: { step: 1 },
      agent: 'billing',
      session_ttl: 60,
    });

    expect(await device.rows()).toHaveLength(2);
    expect(await device.state()).toMatchObject({ state: { step: 1 } });
    expect(await device.lock()).toMatchObject({ active_agent: 'billing', session_ttl: 60 });
  });

  test('a lease that ran out and was taken by nobody may still commit', async () => {
    const token = await take();
    await device.letLeaseLapse();

    const answer = await device.answer(token);

    expect([answer.status, answer.json]).toEqual([200, released]);
    expect(await device.rows()).toHaveLength(2);
  });

  test('complete ends the chat session: the next message begins another, without history', async () => {
    const first = granted(await device.submit('m1'));
    await device.answer(first.turn.token, { replies: [{ content: 'Bye' }], complete: true });

    const second = granted(await device.submit('m2'));

    expect(second.session_id).not.toBe(first.session_id);
    expect(second.history).toEqual([]);
  });

  test('without complete the session goes on', async () => {
    const first = granted(await device.submit('m1'));
    await device.answer(first.turn.token, { complete: false });

    expect(granted(await device.submit('m2')).session_id).toBe(first.session_id);
  });
});

describe('200: more has come in, and the turn is kept', () => {
  test('exactly what came in since is handed over, under a new token', async () => {
    const token = await take();
    await device.submit('m2');
    await device.submit('m3');

    const kept = keptTurn(await device.answer(token));

    expect(kept.messages.map((message) => message.message_id)).toEqual(['m2', 'm3']);
    expect(BigInt(kept.turn.token)).toBeGreaterThan(BigInt(token));
    expect(await device.rows()).toMatchObject([
      { seq: 1, status: 'answered' },
      { seq: 2, role: 'assistant' },
      { seq: null, status: 'waiting' },
      { seq: null, status: 'waiting' },
    ]);
  });

  test('nobody else gets a turn in between; the new token answers the rest', async () => {
    const token = await take();
    await device.submit('m2');
    const kept = keptTurn(await device.answer(token));
    expect((await device.poll()).json).toEqual(released);

    const answer = await device.answer(kept.turn.token, { replies: [{ content: 'second' }] });

    expect(answer.json).toEqual(released);
    expect((await device.rows()).map(({ content }) => content)).toEqual([
      'text of m1',
      'Hi',
      'text of m2',
      'second',
    ]);
  });

  test('the token before it is lost then', async () => {
    const token = await take();
    await device.submit('m2');
    keptTurn(await device.answer(token));

    await refusePut([409, 'turn_lost'], { token, replies: [{ content: 'again' }] });
  });
});

describe('the same PUT again, after a lost answer', () => {
  const body = { replies: [{ content: 'Hi' }], state_patch: { n: 1 }, agent: 'billing' };

  test('changes nothing and answers the same', async () => {
    const token = await take();
    const first = await device.answer(token, body);
    const before = await api.stored();

    const second = await device.answer(token, body);

    expect([second.status, second.json]).toEqual([first.status, first.json]);
    expect(await api.stored()).toEqual(before);
  });

  test('answers with the kept turn and its token again', async () => {
    const token = await take();
    await device.submit('m2');
    const first = await device.answer(token, body);
    keptTurn(first);

    const second = await device.answer(token, body);

    expect(second.json).toEqual(first.json);
    expect(await device.rows()).toHaveLength(3);
  });

  test('at the same moment writes once', async () => {
    const token = await take();

    const answers = await Promise.all(Array.from({ length: 5 }, () => device.answer(token, body)));

    for (const answer of answers) expect([answer.status, answer.json]).toEqual([200, released]);
    expect(await device.rows()).toHaveLength(2);
  });

  test.for<readonly [string, object]>([
    ['another reply', { ...body, replies: [{ content: 'Ho' }] }],
    ['one reply more', { ...body, replies: [{ content: 'Hi' }, { content: 'Hi' }] }],
    ['another state_patch', { ...body, state_patch: { n: 2 } }],
    ['another agent', { ...body, agent: 'sales' }],
    ['complete', { ...body, complete: true }],
    ['nothing', {}],
  ])('with other content (%s) is 409 turn_lost', async ([, other]) => {
    const token = await take();
    await device.answer(token, body);

    await refusePut([409, 'turn_lost'], { token, ...other });
  });
});

describe('409 turn_lost, nothing written', () => {
  const lost = [409, 'turn_lost'] as const;
  const rest = { replies: [{ content: 'late' }], state: { late: true }, agent: 'late' };

  test('the lease ran out and a POST has taken the turn', async () => {
    const token = await take();
    await device.letLeaseLapse();
    granted(await device.submit('m2'));

    await refusePut(lost, { token, ...rest });
  });

  test('the lease ran out and a poll has taken the turn', async () => {
    const token = await take();
    await device.letLeaseLapse();
    granted(await device.poll());

    await refusePut(lost, { token, ...rest });
  });

  test('the turn was given back', async () => {
    const token = await take();
    await device.giveBack(token);

    await refusePut(lost, { token, ...rest });
  });

  test('a person has taken over meanwhile', async () => {
    const token = await take();
    await device.hold('human');

    await refusePut(lost, { token, ...rest });
    expect(await device.rows()).toMatchObject([{ status: 'recorded', role: 'user' }]);
  });

  test('a token that never was', async () => {
    await refusePut(lost, { token: '999999999999', ...rest });
    const token = await take();
    await refusePut(lost, { token: String(BigInt(token) + 1n), ...rest });
    await refusePut(lost, { token: '0', ...rest });
  });

  test('the token of another device', async () => {
    const token = await take();
    const other = worker(api, crypto.randomUUID());
    granted(await other.submit('m1'));

    await refusePut(lost, { token, ...rest }, other);
    await refusePut(lost, { token, ...rest }, worker(api, crypto.randomUUID()));

    expect((await device.answer(token)).json).toEqual(released);
  });
});

describe('413 state_too_large, nothing written', () => {
  test.for(['state', 'state_patch'])(
    '%s: the turn is still held and may be answered',
    async (name) => {
      const token = await take();

      const large = { text: 'x'.repeat(5_000) };
      const body = { token, replies: [{ content: 'Hi' }], agent: 'billing', [name]: large };
      await refusePut([413, 'state_too_large'], body);

      expect((await device.answer(token)).json).toEqual(released);
    },
  );
});
