import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { until } from '../support/waiting.ts';
import { scripted } from './scripted.ts';
import { granted, type Worker, worker } from './turns.ts';
import { answerOf, type Visitor, visitor } from './web.ts';

// One device, one turn at a time, two lanes: what a worker elsewhere was told is never answered by an agent of this
// deployment, and what an agent here was told is never handed to a worker elsewhere.

const CRON = 'secret-of-the-cron-which-is-long-1';
const script = scripted();

let api: Api;
let elsewhere: Worker;
let page: Visitor;

beforeAll(async () => {
  api = await startApi({ CRON_SECRET: CRON, REPLY_WAIT: '10' }, { registry: script.registry });
});
beforeEach(() => {
  script.reset();
  const device = crypto.randomUUID();
  elsewhere = worker(api, device);
  page = visitor(api, device);
});
afterEach(() => api.settled());
afterAll(() => api.close());

const nothing = { turn: null };
const ids = (messages: readonly { message_id: string | null }[]) =>
  messages.map((message) => message.message_id);
const heldTurns = () =>
  api.sql(
    `SELECT turn_fence::text AS token FROM conversation_states WHERE device_id = $1 AND turn_expires_at > now()`,
    [page.device],
  );

describe('a web message', () => {
  test('is not handed to a worker elsewhere, neither by a POST nor by a poll', async () => {
    const release = script.hold();
    const web = page.send('from the page', 'w1');
    await until('the agent is at work', async () => script.turns.length === 1);

    expect((await elsewhere.poll()).json).toEqual(nothing);
    expect((await elsewhere.submit('m1')).json).toEqual({ turn: null, queued: true });
    release();

    expect(answerOf(await web).replies).toMatchObject([{ content: 're from the page' }]);
    expect(ids(granted(await elsewhere.poll()).messages)).toEqual(['m1']);
  });

  test('left waiting by a killed worker is not handed to one elsewhere either', async () => {
    const release = script.hold();
    const web = page.send('from the page', 'w1');
    await until('the agent is at work', async () => script.turns.length === 1);
    await elsewhere.letLeaseLapse();

    const taken = granted(await elsewhere.submit('m1'));

    expect(ids(taken.messages)).toEqual(['m1']);
    script.reset();
    await elsewhere.answer(taken.turn.token);
    release();
    expect(answerOf(await web).replies).toMatchObject([{ content: 're from the page' }]);
  });

  test('waits while a worker elsewhere holds the turn, and is answered as soon as it is free', async () => {
    const { token } = granted(await elsewhere.submit('m1')).turn;
    const web = page.send('from the page', 'w1');
    await until('the web message is stored', async () => (await page.rows()).length === 2);
    expect(script.turns).toEqual([]);

    expect((await elsewhere.answer(token)).json).toEqual(nothing);

    expect(answerOf(await web).replies).toMatchObject([{ content: 're from the page' }]);
    expect(script.turns).toEqual([['from the page']]);
  });

  test('the token of its turn is nobody’s on /api/turn', async () => {
    const release = script.hold();
    const web = page.send('from the page', 'w1');
    await until('the agent is at work', async () => script.turns.length === 1);
    const [held] = await heldTurns();

    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const body = {
        token: held?.['token'],
        ...(method === 'PUT' && { replies: [{ content: 'not mine' }] }),
      };
      await refuse(api, [409, 'turn_lost'], method, '/api/turn', { device: page.device, body });
    }
    release();

    expect(answerOf(await web).replies).toMatchObject([{ content: 're from the page' }]);
  });
});

describe('a message of a worker elsewhere', () => {
  test('given back, it is not answered by the turn of a web message', async () => {
    await elsewhere.giveBack(granted(await elsewhere.submit('m1')).turn.token);

    expect(await page.say('from the page')).toEqual(['re from the page']);

    expect(script.turns).toEqual([['from the page']]);
    expect(ids(granted(await elsewhere.poll()).messages)).toEqual(['m1']);
  });

  test('its lease ran out: a web message takes the turn for itself alone', async () => {
    const { token } = granted(await elsewhere.submit('m1')).turn;
    await elsewhere.letLeaseLapse();

    expect(await page.say('from the page')).toEqual(['re from the page']);

    expect(script.turns).toEqual([['from the page']]);
    expect((await elsewhere.answer(token)).status).toBe(409);
    expect(ids(granted(await elsewhere.poll()).messages)).toEqual(['m1']);
  });

  test('its lease ran out: the cron does not answer it', async () => {
    granted(await elsewhere.submit('m1'));
    await elsewhere.letLeaseLapse();

    const headers = { authorization: `Bearer ${CRON}` };
    expect((await api.call('GET', '/api/cron/cleanup', { headers })).json).toMatchObject({
      recovered_turns: 0,
    });

    expect(script.turns).toEqual([]);
    expect(ids(granted(await elsewhere.poll()).messages)).toEqual(['m1']);
  });

  test('its lease ran out: no sweep after a request answers it', async () => {
    const sweeping = scripted();
    const swept = await startApi({}, { registry: sweeping.registry, sweeps: true });
    try {
      const other = worker(swept, crypto.randomUUID());
      granted(await other.submit('m1'));
      await other.letLeaseLapse();

      await swept.call('GET', '/api/lock', { device: crypto.randomUUID() });
      await swept.settled();

      expect(sweeping.turns).toEqual([]);
      expect(ids(granted(await other.poll()).messages)).toEqual(['m1']);
    } finally {
      await swept.close();
    }
  });

  test('the same message_id on the page is another message', async () => {
    const { token } = granted(await elsewhere.submit('same')).turn;
    await elsewhere.answer(token);

    const { replies } = answerOf(await page.send('from the page', 'same'));

    expect(replies).toMatchObject([{ content: 're from the page', in_reply_to: ['same'] }]);
  });
});

test('both lanes share the device’s lock, state, session and order', async () => {
  await page.say('one');
  const turn = granted(await elsewhere.submit('m1', 'two'));
  await elsewhere.answer(turn.turn.token, { replies: [{ content: 'Hi' }], agent: 'billing' });

  const { session_id } = answerOf(await page.send('three'));

  expect(session_id).toBe(turn.session_id);
  expect(await elsewhere.lock()).toMatchObject({ active_agent: 'billing' });
  expect((await page.rows()).map(({ seq, content }) => [seq, content])).toEqual([
    [1, 'one'],
    [2, 're one'],
    [3, 'two'],
    [4, 'Hi'],
    [5, 'three'],
    [6, 're three'],
  ]);
});
