import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { granted, type Worker, worker } from './turns.ts';

let api: Api;
let device: Worker;

beforeAll(async () => {
  api = await startApi({ DEFAULT_SESSION_TTL: '7200' });
});
beforeEach(() => {
  device = worker(api, crypto.randomUUID());
});
afterAll(() => api.close());

const take = async () => granted(await device.submit('m1')).turn.token;
const done = async (answer: ReturnType<Worker['answer']>) => {
  const { status, json } = await answer;
  expect([status, json]).toEqual([200, { turn: null }]);
};
/** Moves the end of the lock, as if it had been taken that much earlier. */
const letPass = (interval: string) =>
  api.sql(
    `UPDATE conversation_states SET lock_expires_at = lock_expires_at - $2::interval WHERE device_id = $1`,
    [device.device, interval],
  );
const free = () => ({ device_id: device.device, active_agent: null });

describe('state replaces', () => {
  test('the whole document, under a new version', async () => {
    await device.setState({ old: true });
    const before = await device.state();
    await done(device.answer(await take(), { state: { fresh: true } }));

    const after = await device.state();

    expect(after).toMatchObject({ state: { fresh: true } });
    expect(after.version).not.toBe(before.version);
  });

  test('where there was none', async () => {
    await done(device.answer(await take(), { state: {} }));

    expect(await device.state()).toMatchObject({ state: {}, version: expect.any(String) });
  });

  test.for<readonly [string, () => Promise<unknown>]>([
    ['was put', () => device.setState({ other: true })],
    [
      'was merged',
      () => {
        const type = 'application/merge-patch+json';
        return api.call('PATCH', '/api/state', {
          device: device.device,
          body: { other: true },
          type,
        });
      },
    ],
    ['was deleted', () => api.call('DELETE', '/api/state', { device: device.device })],
  ])('409 state_conflict, nothing written: it %s since the turn was given', async ([, change]) => {
    await device.setState({ old: true });
    const token = await take();
    await change();

    const body = { token, replies: [{ content: 'Hi' }], state: { mine: true }, agent: 'billing' };
    await refuse(api, [409, 'state_conflict'], 'PUT', '/api/turn', { device: device.device, body });
  });

  test('409 state_conflict: somebody else made the first document', async () => {
    const token = await take();
    await device.setState({ other: true });

    const body = { token, state: { mine: true } };
    await refuse(api, [409, 'state_conflict'], 'PUT', '/api/turn', { device: device.device, body });
  });

  test('after a conflict the turn is still held, and state_patch goes through', async () => {
    const token = await take();
    await device.setState({ other: true });
    expect((await device.answer(token, { state: { mine: true } })).status).toBe(409);

    await done(device.answer(token, { state_patch: { mine: true } }));

    expect(await device.state()).toMatchObject({ state: { other: true, mine: true } });
  });
});

describe('state_patch merges (RFC 7396)', () => {
  test('also into what others have written since', async () => {
    await device.setState({ a: { x: 1, y: 2 }, gone: 1 });
    const token = await take();
    await device.setState({ a: { x: 1, y: 3 }, gone: 1, other: true });

    await done(device.answer(token, { state_patch: { a: { x: null, z: 4 }, gone: null } }));

    expect(await device.state()).toMatchObject({ state: { a: { y: 3, z: 4 }, other: true } });
  });

  test('left out, the state and its version stay', async () => {
    await device.setState({ a: 1 });
    const before = await device.state();

    await done(device.answer(await take()));

    expect(await device.state()).toEqual(before);
  });
});

describe('agent', () => {
  test('a name takes the lock, for session_ttl seconds', async () => {
    await done(device.answer(await take(), { agent: 'support', session_ttl: 90 }));

    expect(await device.lock()).toMatchObject({ active_agent: 'support', session_ttl: 90 });
  });

  test('without session_ttl an agent of this deployment gets its own TTL, any other DEFAULT_SESSION_TTL', async () => {
    await done(device.answer(await take(), { agent: 'support' }));
    expect(await device.lock()).toMatchObject({ session_ttl: 7_200 });

    device = worker(api, crypto.randomUUID());
    await done(device.answer(await take(), { agent: 'scheduling' }));
    expect(await device.lock()).toMatchObject({ session_ttl: 3_600 });
  });

  test('another name hands over, under a new version', async () => {
    await device.hold('support');
    const before = await device.lock();

    await done(device.answer(await take(), { agent: 'billing' }));

    const after = await device.lock();
    expect(after).toMatchObject({ active_agent: 'billing' });
    expect(after.version).not.toBe(before.version);
  });

  test('human hands over to a person: the next message is answered by nobody', async () => {
    await done(device.answer(await take(), { agent: 'human' }));

    expect((await device.submit('m2')).json).toEqual({ turn: null, active_agent: 'human' });
  });

  test('null lets go', async () => {
    await device.hold('support');

    await done(device.answer(await take(), { agent: null }));

    expect(await device.lock()).toEqual(free());
  });

  test('null where nobody holds is no mistake', async () => {
    await done(device.answer(await take(), { agent: null }));

    expect(await device.lock()).toEqual(free());
  });

  test('left out, a held lock is renewed for its own TTL: later end, same version', async () => {
    await device.hold('support', 100);
    const before = await device.lock();
    const token = await take();
    await letPass('60 seconds');

    await done(device.answer(token));

    const { expires_at: end, ...same } = await device.lock();
    const { expires_at: start, ...held } = before;
    expect(same).toEqual(held);
    expect(Date.parse(String(end))).toBeGreaterThanOrEqual(Date.parse(String(start)));
  });

  test('left out with session_ttl, a held lock is renewed for that long', async () => {
    await device.hold('support', 100);

    await done(device.answer(await take(), { session_ttl: 200 }));

    expect(await device.lock()).toMatchObject({ active_agent: 'support', session_ttl: 200 });
  });

  test('left out, a lock that has expired meanwhile stays ended', async () => {
    await device.hold('support', 100);
    const token = await take();
    await letPass('100 seconds');

    await done(device.answer(token));

    expect(await device.lock()).toEqual(free());
  });

  test('left out, nobody holds: nobody does afterwards', async () => {
    await done(device.answer(await take()));

    expect(await device.lock()).toEqual(free());
  });
});

describe('a lock that somebody else moved meanwhile is left alone, and the rest is written', () => {
  test.for<readonly [string, object]>([
    ['a name', { agent: 'billing' }],
    ['null', { agent: null }],
    ['left out', {}],
  ])('agent: %s', async ([, body]) => {
    await device.hold('support');
    const token = await take();
    await device.hold('sales');
    const moved = await device.lock();

    await done(device.answer(token, { replies: [{ content: 'Hi' }], ...body }));

    expect(await device.lock()).toEqual(moved);
    expect(await device.rows()).toHaveLength(2);
  });

  test('taken where nobody held', async () => {
    const token = await take();
    await device.hold('sales');

    await done(device.answer(token, { agent: 'billing' }));

    expect(await device.lock()).toMatchObject({ active_agent: 'sales' });
  });

  test('let go of', async () => {
    await device.hold('support');
    const token = await take();
    await api.call('DELETE', '/api/lock', { device: device.device });

    await done(device.answer(token, { agent: 'billing' }));

    expect(await device.lock()).toEqual(free());
  });

  test('moved away and back again', async () => {
    await device.hold('support');
    const token = await take();
    await device.hold('sales');
    await device.hold('support');

    await done(device.answer(token, { agent: 'billing' }));

    expect(await device.lock()).toMatchObject({ active_agent: 'support' });
  });

  test('but a renewal is no move: the answer hands over', async () => {
    await device.hold('support');
    const token = await take();
    await device.hold('support');

    await done(device.answer(token, { agent: 'billing' }));

    expect(await device.lock()).toMatchObject({ active_agent: 'billing' });
  });
});
