import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { granted, said, type Worker, worker } from './turns.ts';

let api: Api;
let device: Worker;

beforeAll(async () => {
  api = await startApi({ TURN_LEASE: '45', SESSION_MAX_MESSAGES: '3' });
});
beforeEach(() => {
  device = worker(api, crypto.randomUUID());
});
afterAll(() => api.close());

describe('200 with the turn: nobody held it', () => {
  test('gives the token, the lock, the state, the session, what waits and what was said before', async () => {
    const turn = granted(await device.submit('m1', 'Hello', { from: 'my shop' }));

    expect(turn).toEqual({
      turn: { token: expect.any(String), expires_at: expect.any(String) },
      active_agent: null,
      state: {},
      session_id: expect.any(String),
      messages: [
        {
          id: expect.any(String),
          message_id: 'm1',
          role: 'user',
          content: 'Hello',
          agent: null,
          metadata: { from: 'my shop' },
          created_at: expect.any(String),
        },
      ],
      history: [],
    });
  });

  test('the lease ends TURN_LEASE seconds after the message came in', async () => {
    const { turn, messages } = granted(await device.submit('m1'));

    const [message] = messages;
    expect(Date.parse(turn.expires_at) - Date.parse(String(message?.created_at))).toBe(45_000);
  });

  test('names the holder of the lock, and the state with its version', async () => {
    await device.hold('scheduling');
    await device.setState({ step: 2 });

    const { active_agent, state, version } = granted(await device.submit('m1'));

    expect({ active_agent, state }).toEqual({ active_agent: 'scheduling', state: { step: 2 } });
    expect(await device.state()).toMatchObject({ version });
  });

  test('a lock that has expired is nobody’s', async () => {
    await device.hold('scheduling', 60);
    await api.sql(`UPDATE conversation_states SET lock_expires_at = now() WHERE device_id = $1`, [
      device.device,
    ]);

    expect(granted(await device.submit('m1')).active_agent).toBeNull();
  });

  test('a token is larger than every one before', async () => {
    const tokens: bigint[] = [];
    for (const id of ['m1', 'm2', 'm3']) {
      const { token } = granted(await device.submit(id)).turn;
      tokens.push(BigInt(token));
      await device.answer(token);
    }
    expect(tokens).toEqual(tokens.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(new Set(tokens).size).toBe(3);
  });

  test('history holds the last SESSION_MAX_MESSAGES messages of the session, oldest first', async () => {
    for (const id of ['m1', 'm2', 'm3']) {
      await device.answer(granted(await device.submit(id)).turn.token, {
        replies: [{ content: `re ${id}` }],
      });
    }

    const { history, messages } = granted(await device.submit('m4'));

    expect(said(history)).toEqual(['assistant: re m2', 'user: text of m3', 'assistant: re m3']);
    expect(said(messages)).toEqual(['user: text of m4']);
  });

  test('what waits is handed over oldest first', async () => {
    const { token } = granted(await device.submit('m1')).turn;
    await device.submit('m2');
    await device.submit('m3');
    await device.giveBack(token);

    const { messages } = granted(await device.submit('m4'));

    expect(messages.map((message) => message.message_id)).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  test('a lease that ran out: the next message takes the turn with all that waits, under a new token', async () => {
    const first = granted(await device.submit('m1'));
    await device.letLeaseLapse();

    const second = granted(await device.submit('m2'));

    expect(second.messages.map((message) => message.message_id)).toEqual(['m1', 'm2']);
    expect(BigInt(second.turn.token)).toBeGreaterThan(BigInt(first.turn.token));
  });

  test('devices do not wait for each other', async () => {
    granted(await device.submit('m1'));

    const other = granted(await worker(api, crypto.randomUUID()).submit('m1'));

    expect(other.messages).toHaveLength(1);
  });
});

describe('202 queued: somebody holds the turn', () => {
  const queued = { turn: null, queued: true };

  test('the message is stored and waits', async () => {
    granted(await device.submit('m1'));

    const answer = await device.submit('m2');

    expect([answer.status, answer.json]).toEqual([202, queued]);
    expect(await device.rows()).toMatchObject([{ status: 'waiting' }, { status: 'waiting' }]);
  });

  test('of ten messages at once one takes the turn, all others queue, none is lost', async () => {
    const ids = Array.from({ length: 10 }, (_, i) => `m${i}`);
    const answers = await Promise.all(ids.map((id) => device.submit(id)));

    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      200,
      ...ids.slice(1).map(() => 202),
    ]);
    expect(await device.rows()).toHaveLength(10);
  });
});

describe('200 human: a person has taken over', () => {
  const human = { turn: null, active_agent: 'human' };

  beforeEach(() => device.hold('human'));

  test('the message enters the history and is handed to nobody', async () => {
    const answer = await device.submit('m1', 'Is anybody there?');

    expect([answer.status, answer.json]).toEqual([200, human]);
    expect(await device.rows()).toMatchObject([{ seq: 1, content: 'Is anybody there?' }]);
    expect((await device.poll()).json).toEqual({ turn: null });
  });

  test('also not later, once the person has let go: it is history then', async () => {
    await device.submit('m1', 'Is anybody there?');
    await api.call('DELETE', '/api/lock', { device: device.device });
    expect((await device.poll()).json).toEqual({ turn: null });

    const { messages, history } = granted(await device.submit('m2'));

    expect(said(history)).toEqual(['user: Is anybody there?']);
    expect(messages.map((message) => message.message_id)).toEqual(['m2']);
  });

  test('what waited when the person took over enters the history too', async () => {
    const other = worker(api, crypto.randomUUID());
    granted(await other.submit('m1'));
    await other.submit('m2');

    await other.hold('human');

    expect(await other.rows()).toMatchObject([
      { seq: 1, content: 'text of m1', status: 'recorded' },
      { seq: 2, content: 'text of m2', status: 'recorded' },
    ]);
  });
});

describe('200 duplicate: this message_id was taken before', () => {
  const duplicate = { turn: null, duplicate: true };

  test.for<readonly [string, () => Promise<unknown>]>([
    ['while it is worked on', async () => granted(await device.submit('m1'))],
    [
      'after it was answered',
      async () => device.answer(granted(await device.submit('m1')).turn.token),
    ],
    [
      'where a person had taken over',
      async () => {
        await device.hold('human');
        await device.submit('m1');
      },
    ],
  ])('%s: nothing is stored', async ([, prepare]) => {
    await prepare();
    const before = await device.rows();

    const answer = await device.submit('m1', 'other words');

    expect([answer.status, answer.json]).toEqual([200, duplicate]);
    expect(await device.rows()).toEqual(before);
  });

  test('while it waits behind somebody else’s turn', async () => {
    granted(await device.submit('m1'));
    await device.submit('m2');

    expect((await device.submit('m2')).json).toEqual(duplicate);
  });

  test('it still waits and nobody holds the turn: the turn is given, with the first copy', async () => {
    await device.giveBack(granted(await device.submit('m1', 'first words')).turn.token);

    const { messages } = granted(await device.submit('m1', 'other words'));

    expect(said(messages)).toEqual(['user: first words']);
  });

  test('of twenty copies at once one is stored and one turn given', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => device.submit('m1')));

    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const others = answers.filter(({ text }) => !text.includes('"token"')).map(({ json }) => json);
    expect(others).toEqual(Array.from({ length: 19 }, () => duplicate));
    expect(await device.rows()).toHaveLength(1);
  });

  test('the same message_id of another device is another message', async () => {
    granted(await device.submit('m1'));

    granted(await worker(api, crypto.randomUUID()).submit('m1'));
  });
});

describe('200 to a poll: POST without message_id and content', () => {
  const nothing = { turn: null };

  test('nothing there: no turn, and a device never seen stays unknown', async () => {
    const before = await api.stored();

    const answer = await device.poll();

    expect([answer.status, answer.json]).toEqual([200, nothing]);
    expect(await api.stored()).toEqual(before);
  });

  test('everything answered: no turn', async () => {
    await device.answer(granted(await device.submit('m1')).turn.token);

    expect((await device.poll()).json).toEqual(nothing);
  });

  test('somebody holds the turn: no turn', async () => {
    granted(await device.submit('m1'));
    await device.submit('m2');

    expect((await device.poll()).json).toEqual(nothing);
  });

  test('something waits and nobody holds the turn: the turn, as a POST of a message gives it', async () => {
    const first = granted(await device.submit('m1'));
    await device.giveBack(first.turn.token);

    const { turn, ...rest } = granted(await device.poll());

    const { turn: firstTurn, ...same } = first;
    expect(rest).toEqual(same);
    expect(BigInt(turn.token)).toBeGreaterThan(BigInt(firstTurn.token));
  });

  test('a lease that ran out is taken over', async () => {
    granted(await device.submit('m1'));
    await device.letLeaseLapse();

    expect(granted(await device.poll()).messages).toHaveLength(1);
  });

  test('of ten polls at once one gets the turn', async () => {
    await device.giveBack(granted(await device.submit('m1')).turn.token);

    const answers = await Promise.all(Array.from({ length: 10 }, () => device.poll()));

    expect(answers.filter(({ text }) => text.includes('"token"'))).toHaveLength(1);
  });
});
