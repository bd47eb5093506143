import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi, TIME } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const LINK = '/api/device/link';

let api: Api;
beforeAll(async () => {
  api = await startApi({ API_KEYS: KEY, DEVICE_TOKEN_SECRET: SECRET });
});
afterAll(() => api.close());

let address = 0;
/** A browser that has registered, and what it may send. */
async function browser() {
  const registered = await api.call('POST', '/api/device', {
    headers: { 'x-real-ip': `192.0.2.${++address}` },
  });
  const { device_id: device, token } = registered.json as { device_id: string; token: string };
  const options = { device, headers: { authorization: `Bearer ${token}` } };
  const call = (method: string, path: string, body?: object) =>
    api.call(method, path, { ...options, ...(body && { body }) });
  return { device, options, call };
}

type Browser = Awaited<ReturnType<typeof browser>>;

async function codeOf({ call }: Browser): Promise<string> {
  return ((await call('POST', LINK)).json as { code: string }).code;
}

/** A code that is not this one. */
const wrong = (code: string, by = 1) => String((Number(code) + by) % 1_000_000).padStart(6, '0');

describe('POST /api/device/link', () => {
  test('201: without a body or a code, a code of six digits, good for ten minutes', async () => {
    const host = await browser();
    for (const body of [undefined, {}]) {
      const answer = await host.call('POST', LINK, body);
      expect([answer.status, answer.json]).toEqual([
        201,
        {
          device_id: host.device,
          code: expect.stringMatching(/^\d{6}$/),
          expires_at: expect.stringMatching(TIME),
        },
      ]);
    }
    const [row] = await api.sql(
      `SELECT extract(epoch FROM l.expires_at - baton_now_v1())::float8 AS seconds, l.code_key::text
       FROM link_codes l WHERE device_id = $1`,
      [host.device],
    );
    expect(row?.['seconds']).toBeGreaterThan(540);
    expect(row?.['seconds']).toBeLessThanOrEqual(600);
  });

  test('200: with the code of another device, both go on with one conversation, each under its own name', async () => {
    const [host, guest] = [await browser(), await browser()];
    await host.call('POST', '/api/webhooks/web', { message: 'I would like to book' });

    const answer = await guest.call('POST', LINK, { code: await codeOf(host) });

    expect([answer.status, answer.json]).toEqual([200, { device_id: guest.device, linked: true }]);
    expect((await guest.call('GET', '/api/lock')).json).toMatchObject({
      device_id: guest.device,
      active_agent: 'scheduling',
    });
    const said = await guest.call('POST', '/api/webhooks/web', { message: 'A haircut' });
    expect(said.json).toMatchObject({ active_agent: 'scheduling' });
    const state = (await host.call('GET', '/api/state')).json as { state: object };
    expect(JSON.stringify(state.state)).toContain('haircut');
    expect((await host.call('GET', '/api/device')).json).toMatchObject({
      messages: { user: 2, assistant: 2 },
    });
  });

  test('a message of the guest sent again gets its first answer', async () => {
    const [host, guest] = [await browser(), await browser()];
    await guest.call('POST', LINK, { code: await codeOf(host) });
    const said = { message: 'hello', message_id: 'm1' };
    const first = await guest.call('POST', '/api/webhooks/web', said);
    expect((await guest.call('POST', '/api/webhooks/web', said)).json).toEqual(first.json);
    // the ids of one device are its own: the host may count from one as well
    const other = await host.call('POST', '/api/webhooks/web', {
      ...said,
      message: 'I want to book',
    });
    expect(other.json).toMatchObject({ active_agent: 'scheduling' });
  });

  test('a turn of a bot elsewhere goes through either device', async () => {
    const [host, guest] = [await browser(), await browser()];
    await guest.call('POST', LINK, { code: await codeOf(host) });
    const taken = await guest.call('POST', '/api/turn', { message_id: 'm1', content: 'hi' });
    const { turn } = taken.json as { turn: { token: string } };
    const queued = await host.call('POST', '/api/turn', { message_id: 'm2', content: 'hello' });
    expect(queued.status).toBe(202);
    const answered = await host.call('PUT', '/api/turn', {
      token: turn.token,
      replies: [{ content: 'yes' }],
    });
    expect(answered.json).toMatchObject({ messages: [{ message_id: 'm2' }] });
  });

  test('404: a wrong code, one that is over, one that another has used', async () => {
    const [host, guest, late] = [await browser(), await browser(), await browser()];
    const code = await codeOf(host);
    await refuseCode(late, wrong(code));
    await api.sql(`UPDATE link_codes SET expires_at = baton_now_v1() WHERE device_id = $1`, [
      host.device,
    ]);
    await refuseCode(late, code);
    const second = await codeOf(host);
    expect((await guest.call('POST', LINK, { code: second })).status).toBe(200);
    await refuseCode(late, second);
  });

  test('429: five wrong codes, and none is looked at for ten minutes, nor is anything of the device lost', async () => {
    const [host, guest] = [await browser(), await browser()];
    const code = await codeOf(host);
    for (let i = 1; i <= 5; i++) await refuseCode(guest, wrong(code, i));

    const answer = await refuse(api, [429, 'rate_limited'], 'POST', LINK, {
      ...guest.options,
      body: { code },
    });

    expect(answer.headers.get('retry-after')).toBe('600');
    expect((await guest.call('GET', '/api/lock')).status).toBe(200);
    await api.sql(
      `UPDATE link_tries SET since = since - interval '10 minutes' WHERE device_id = $1`,
      [guest.device],
    );
    expect((await guest.call('POST', LINK, { code })).status).toBe(200);
  });

  test('400: what is no code, or its own; it counts as no try', async () => {
    const host = await browser();
    const own = await codeOf(host);
    for (const code of ['12345', '1234567', 123_456, '12345a', ' 12345', '１２３４５６', '', own]) {
      await refuse(api, [400, 'invalid_request'], 'POST', LINK, {
        ...host.options,
        body: { code },
      });
    }
    const guest = await browser();
    expect((await guest.call('POST', LINK, { code: own })).status).toBe(200);
  });

  test('403, 401: a token for another device, and none', async () => {
    const [host, other] = [await browser(), await browser()];
    await refuse(api, [403, 'wrong_device'], 'POST', LINK, {
      ...host.options,
      device: other.device,
    });
    await refuse(api, [401, 'unauthorized'], 'POST', LINK, { device: randomUUID() });
  });

  /** Sees that a code opens nothing. */
  async function refuseCode({ call, device }: Browser, code: string): Promise<void> {
    expectProblem(await call('POST', LINK, { code }), 404, 'link_code_invalid');
    const leads = await api.sql(`SELECT FROM channel_identities WHERE value = $1`, [device]);
    expect(leads).toEqual([]);
  }
});

describe('DELETE /api/device/link', () => {
  test('204: the guest has its own conversation again, and the host keeps what was shared', async () => {
    const [host, guest] = [await browser(), await browser()];
    await guest.call('PUT', '/api/state', { state: { own: 1 } });
    await guest.call('POST', LINK, { code: await codeOf(host) });
    await guest.call('PUT', '/api/state', { state: { shared: 1 } });

    const answer = await guest.call('DELETE', LINK);

    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await guest.call('GET', '/api/state')).json).toMatchObject({ state: { own: 1 } });
    expect((await host.call('GET', '/api/state')).json).toMatchObject({ state: { shared: 1 } });
  });

  test('204: the host parts from every guest, whose codes of it open nothing any more', async () => {
    const [host, guest, late] = [await browser(), await browser(), await browser()];
    await guest.call('POST', LINK, { code: await codeOf(host) });
    await host.call('PUT', '/api/state', { state: { secret: 1 } });
    const code = await codeOf(host);
    await host.call('DELETE', LINK);
    expect((await guest.call('GET', '/api/state')).json).toMatchObject({ state: {} });
    expectProblem(await late.call('POST', LINK, { code }), 404, 'link_code_invalid');
  });

  test('204: it was linked to none', async () => {
    expect((await (await browser()).call('DELETE', LINK)).status).toBe(204);
  });
});
