import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Api, startApi, TIME } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { granted, type Worker, worker } from './turns.ts';

let api: Api;
let device: Worker;

beforeAll(async () => {
  api = await startApi({ TURN_LEASE: '45', MAX_ATTEMPTS: '2' });
});
beforeEach(() => {
  device = worker(api, crypto.randomUUID());
});
afterAll(() => api.close());

const renewed = z.looseObject({ expires_at: z.string().regex(TIME) });
const lost = [409, 'turn_lost'] as const;
const take = async (id = 'm1') => granted(await device.submit(id)).turn;

/** PATCH and DELETE with a token that names no turn of the device any more. */
async function expectLost(token: string, of = device.device): Promise<void> {
  for (const method of ['PATCH', 'DELETE']) {
    await refuse(api, lost, method, '/api/turn', { device: of, body: { token } });
  }
}

describe('PATCH 200 renews the lease', () => {
  test('for TURN_LEASE seconds from now, and tells its end', async () => {
    const turn = await take();
    await api.sql(
      `UPDATE conversation_states SET turn_expires_at = turn_expires_at - interval '30 s' WHERE device_id = $1`,
      [device.device],
    );

    const answer = await device.renew(turn.token);

    expect(answer.status).toBe(200);
    const { expires_at } = renewed.parse(answer.json);
    const end = Date.parse(expires_at);
    expect(end).toBeGreaterThanOrEqual(Date.parse(turn.expires_at));
    const [row] = await api.sql(
      `SELECT turn_expires_at FROM conversation_states WHERE device_id = $1`,
      [device.device],
    );
    expect(row).toEqual({ turn_expires_at: new Date(end) });
  });

  test('the token stays, and nobody else gets the turn', async () => {
    const { token } = await take();
    await device.renew(token);

    expect((await device.submit('m2')).status).toBe(202);
    expect((await device.answer(token)).status).toBe(200);
  });

  test('a lease that ran out without another taker comes back to life', async () => {
    const { token } = await take();
    await device.letLeaseLapse();

    expect((await device.renew(token)).status).toBe(200);
    expect((await device.submit('m2')).status).toBe(202);
  });
});

describe('DELETE 204 gives the turn back', () => {
  test('its messages wait for whoever comes next', async () => {
    const { token } = await take();

    const answer = await device.giveBack(token);

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await device.rows()).toMatchObject([{ status: 'waiting' }]);
    expect(granted(await device.poll()).messages).toMatchObject([{ message_id: 'm1' }]);
  });

  test('counts as no attempt, however often', async () => {
    let { token } = await take();
    for (let i = 0; i < 5; i++) {
      await device.giveBack(token);
      ({ token } = granted(await device.poll()).turn);
    }

    expect(await device.rows()).toMatchObject([{ status: 'waiting', attempts: 0 }]);
    expect((await device.answer(token)).status).toBe(200);
  });

  test('whereas a lease that ran out and was taken over does: after MAX_ATTEMPTS the message is set aside', async () => {
    await take();
    await device.letLeaseLapse();
    expect(granted(await device.poll()).messages).toHaveLength(1);
    await device.letLeaseLapse();

    expect((await device.poll()).json).toEqual({ turn: null });
    expect(await device.rows()).toMatchObject([{ status: 'failed', attempts: 2 }]);
  });

  test('an answered message is not brought back by it', async () => {
    const { token } = await take();
    await device.answer(token);

    await expectLost(token);
    expect((await device.poll()).json).toEqual({ turn: null });
  });
});

describe('409 turn_lost, nothing written: PATCH and DELETE', () => {
  test('after the answer', async () => {
    const { token } = await take();
    await device.answer(token);

    await expectLost(token);
  });

  test('after the answer that kept the turn under a new token', async () => {
    const { token } = await take();
    await device.submit('m2');
    await device.answer(token);

    await expectLost(token);
  });

  test('once the lease ran out and somebody has taken the turn', async () => {
    const { token } = await take();
    await device.letLeaseLapse();
    granted(await device.submit('m2'));

    await expectLost(token);
  });

  test('once a person has taken over', async () => {
    const { token } = await take();
    await device.hold('human');

    await expectLost(token);
  });

  test('PATCH after the turn was given back', async () => {
    const { token } = await take();
    await device.giveBack(token);

    await refuse(api, lost, 'PATCH', '/api/turn', { device: device.device, body: { token } });
  });

  test('with a token that never was', async () => {
    await expectLost('12345');
    await take();
    await expectLost('1');
  });

  test('with the token of another device, whose turn it stays', async () => {
    const { token } = await take();
    const other = worker(api, crypto.randomUUID());
    granted(await other.submit('m1'));

    await expectLost(token, other.device);
    await expectLost(token, crypto.randomUUID());

    expect((await device.renew(token)).status).toBe(200);
  });
});
