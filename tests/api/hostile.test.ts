import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { hostileCalls } from '../support/hostile.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const seed = Number(process.env['HOSTILE_SEED'] ?? 20_261_121);
/** Over Neon and in a deployment the same again would take minutes; what they have of their own is the driver. */
const requests = Number(
  process.env['HOSTILE_REQUESTS'] ?? (process.env['TEST_DRIVER'] === undefined ? 2_500 : 300),
);

/** What a wrong code leaves: that it was tried. */
const COUNTED = ['link_code_invalid'];

let api: Api;
let known: Record<string, string[]>;
let token: string;
beforeAll(async () => {
  api = await startApi({
    API_KEYS: KEY,
    DEVICE_TOKEN_SECRET: 'secret-that-signs-device-tokens-1',
    WHATSAPP_APP_SECRET: 'an app secret',
    CRON_SECRET: 'secret-of-the-cron-which-is-long-1',
    REPLY_WAIT: '0',
    RATE_LIMIT: '0',
  });
  const operator = { authorization: `Bearer ${KEY}` };
  const registered = await api.call('POST', '/api/device');
  const first = registered.json as { device_id: string; token: string };
  ({ token } = first);
  const devices = [first.device_id, crypto.randomUUID(), crypto.randomUUID()];
  const sessions: string[] = [];
  for (const device of devices) {
    const begun = await api.call('POST', '/api/chat/sessions', {
      device,
      headers: operator,
      body: { user_id: 'anna' },
    });
    sessions.push((begun.json as { session_id: string }).session_id);
  }
  known = { 'X-Device-ID': devices, id: sessions, device_id: devices, user_id: ['anna', 'bert'] };
});
afterAll(() => api.close());

/** What is stored, but for what the instance counts of itself. */
async function stored(): Promise<Record<string, string>> {
  const { counters: _, ...tables } = await api.stored();
  return tables;
}

test(
  `${requests} requests made of the OpenAPI document: each is answered or refused as it says, and a refused one leaves nothing (HOSTILE_SEED=${seed})`,
  {
    timeout: 600_000,
  },
  async () => {
    const credentials = [
      ...Array.from({ length: 12 }, () => `Bearer ${KEY}`),
      `Bearer ${token}`,
      `Bearer ${token.slice(0, -2)}`,
      'Bearer',
      '',
    ];
    const statuses = new Map<number, number>();
    let before = await stored();
    await fc.assert(
      fc.asyncProperty(hostileCalls(known, credentials), async ({ method, path, options }) => {
        const answer = await api.call(method, path, options);
        await api.settled();
        const after = await stored();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);

        expect(answer.status, answer.text).toBeLessThan(500);
        expect(answer.text).not.toMatch(/\n\s+at .*:\d+:\d+|node_modules/);
        expect(answer.headers.get('x-injected')).toBeNull();
        if (answer.status >= 400) {
          const { code } = answer.json as { code: string };
          expectProblem(answer, answer.status, code);
          if (!COUNTED.includes(code)) expect(after).toEqual(before);
        }
        before = after;
      }),
      { seed, numRuns: requests, endOnFailure: true },
    );
    // a set that is refused at the door, or let through whole, would find nothing
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 204, 400, 401, 403, 404]));
    expect(api.events.filter(({ level }) => level === 'error')).toEqual([]);
    const told = [...statuses].toSorted(([a], [b]) => a - b);
    process.stdout.write(
      `hostile: ${requests} requests, HOSTILE_SEED=${seed}: ${told.map((pair) => pair.join('×')).join(' ')}\n`,
    );
  },
);
