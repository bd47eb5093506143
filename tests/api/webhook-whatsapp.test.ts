import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { signBytes } from '../../lib/secrets.ts';
import { type Api, expectProblem, refuse, startApi } from '../support/api.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures', 'whatsapp');
const SECRET = 'test_app_secret';
const PATH = '/api/webhooks/whatsapp';

const read = async <T>(file: string, schema: z.ZodType<T>): Promise<T> =>
  schema.parse(JSON.parse(await readFile(join(fixtures, 'meta', file), 'utf8')));

const status = z.union([z.number(), z.string()]);
const getCases = await read(
  'GET_CASES.json',
  z.object({
    verify_token: z.string(),
    cases: z.array(
      z.object({ name: z.string(), query: z.string(), status, body: z.nullable(z.string()) }),
    ),
  }),
);
const signatureCases = await read(
  'SIGNATURE_CASES.json',
  z.object({
    body_file: z.string(),
    cases: z.array(
      z.object({ name: z.string(), header: z.nullable(z.string()), expect: z.string() }),
    ),
  }),
);
const { files: signatures } = await read(
  'SIGNATURES.json',
  z.object({ files: z.record(z.string(), z.string()) }),
);
const inbound = z.object({
  person: z.string().nullish(),
  wamid: z.string().nullish(),
  type: z.string().nullish(),
  text: z.string().optional(),
  turn: z.string().nullish(),
  optional: z.boolean().optional(),
  phone_number_id: z.string().nullish(),
});
const expectations = await read(
  'EXPECTED.json',
  z.record(
    z.string(),
    z.object({
      http: z.number(),
      http_also: z.array(z.number()),
      // of the largest body only the number and the first are written down
      inbound: z.union([
        z.array(inbound),
        z.object({ count: z.number(), first: inbound }).transform(({ first }) => [first]),
      ]),
      bytes: z.number(),
    }),
  ),
);

const bytesOf = async (file: string) =>
  new Uint8Array(await readFile(join(fixtures, 'bodies', file)));
const settings = {
  WHATSAPP_APP_SECRET: SECRET,
  WHATSAPP_VERIFY_TOKEN: getCases.verify_token,
  WHATSAPP_PHONE_NUMBER_IDS: '200000000000001,200000000000002,200000000000003',
};

describe('GET: Meta’s verification', () => {
  let api: Api;
  let unset: Api;
  beforeAll(async () => {
    api = await startApi(settings);
    unset = await startApi();
  });
  afterAll(async () => {
    await api.close();
    await unset.close();
  });

  it.each(getCases.cases)('$name: $status', async ({ query, status: wanted, body }) => {
    const answer = await api.call('GET', `${PATH}?${query}`);
    expect(String(wanted)).toContain(String(answer.status));
    if (answer.status !== 200) return void expectProblem(answer, 403, 'forbidden');
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(body?.startsWith(answer.text)).toBe(true);
  });

  it.each(['', 'undefined', 'null'])('403 for the token "%s" where none is set', async (token) => {
    const query = `hub.mode=subscribe&hub.challenge=1&hub.verify_token=${token}`;
    expectProblem(await unset.call('GET', `${PATH}?${query}`), 403, 'forbidden');
  });
});

describe('POST: the signature', () => {
  let api: Api;
  let unset: Api;
  beforeAll(async () => {
    api = await startApi(settings);
    unset = await startApi();
  });
  afterAll(async () => {
    await api.close();
    await unset.close();
  });

  it.each(signatureCases.cases)('$name: $expect', async ({ header, expect: wanted }) => {
    const answer = await api.call('POST', PATH, {
      raw: await bytesOf(signatureCases.body_file),
      headers: header === null ? {} : { 'x-hub-signature-256': header },
    });
    await api.settled();
    const allowed = wanted.startsWith('401') ? [401] : wanted.includes('401') ? [200, 401] : [200];
    expect(allowed).toContain(answer.status);
    if (answer.status === 401) expectProblem(answer, 401, 'unauthorized');
  });

  it('of the empty secret, where none is set: 401, and nothing is stored', async () => {
    const raw = await bytesOf('msg-text.json');
    const headers = { 'x-hub-signature-256': `sha256=${signBytes(raw, '')}` };
    await refuse(unset, [401, 'unauthorized'], 'POST', PATH, { raw, headers });
  });

  it('missing on a body that is no JSON: 401 all the same', async () => {
    await refuse(api, [401, 'unauthorized'], 'POST', PATH, { raw: 'no json' });
  });

  it('of a second secret in the list is good too, so that secrets can be rotated', async () => {
    const rotated = await startApi({ ...settings, WHATSAPP_APP_SECRET: `new,${SECRET}` });
    const headers = { 'x-hub-signature-256': signatures['msg-text.json'] ?? '' };
    const raw = await bytesOf('msg-text.json');
    expect((await rotated.call('POST', PATH, { raw, headers })).status).toBe(200);
    await rotated.settled();
    await rotated.close();
  });

  it('of a body over 4 MiB is not looked at: 413', async () => {
    const raw = new Uint8Array(4 * 1_048_576 + 1).fill(0x20);
    const headers = { 'x-hub-signature-256': `sha256=${signBytes(raw, SECRET)}` };
    await refuse(api, [413, 'body_too_large'], 'POST', PATH, { raw, headers });
  });
});

describe('POST: every body of the set', () => {
  let api: Api;
  const people = new Map<string, string>();
  beforeAll(async () => {
    api = await startApi(settings);
  });
  afterAll(() => api.close());

  const post = async (file: string) => {
    const headers = { 'x-hub-signature-256': signatures[file] ?? '' };
    return api.call('POST', PATH, { raw: await bytesOf(file), headers });
  };
  const stored = () =>
    api.sql(
      `SELECT external_id, content, device_id::text AS device, account FROM chat_messages WHERE role = 'user' ORDER BY id`,
    );

  // Kinds other than text are left for later: answered 200, and nothing of them is stored.
  it.each(Object.entries(expectations))('%s', async (file, wanted) => {
    const before = await stored();
    const answer = await post(file);
    expect([wanted.http, ...wanted.http_also]).toContain(answer.status);
    await api.settled();
    const known = new Set(before.map((row) => `${row['external_id']} at ${row['account']}`));
    const fresh = (await stored()).slice(before.length);

    const texts = wanted.inbound.filter(
      ({ type, wamid, phone_number_id: account }) =>
        type === 'text' && !known.has(`${wamid} at ${account}`),
    );
    const isGroup = file === 'msg-group-text.json';
    const due = isGroup
      ? []
      : texts.filter(
          ({ optional, text, turn }) =>
            optional !== true && (text !== undefined || turn === 'agent'),
        );
    const seen = fresh.map((row) => [row['external_id'], row['content'], row['account']]);
    for (const { wamid, text, phone_number_id: account } of due) {
      // the text of the longest is not written down twice
      expect(seen).toContainEqual([wamid, text ?? expect.any(String), account]);
    }
    const allowed = texts.map(({ wamid }) => wamid);
    if (file === 'batch-1000-updates.json') expect(fresh).toHaveLength(500);
    else {
      expect(fresh.filter((row) => !allowed.includes(String(row['external_id'])))).toEqual([]);
    }

    // one person is one conversation, whichever of their ids the body holds
    for (const { wamid, person, phone_number_id: account } of due) {
      const device = String(fresh.find((row) => row['external_id'] === wamid)?.['device']);
      const key = `${person} at ${account}`;
      if (person != null) expect(people.get(key) ?? device).toBe(device);
      people.set(key, device);
    }
  });

  it('sent again, all of it: the same status, and not a row more', async () => {
    const before = await api.stored();
    const messages = before['chat_messages'];
    for (const [file, wanted] of Object.entries(expectations)) {
      expect([wanted.http, ...wanted.http_also]).toContain((await post(file)).status);
    }
    await api.settled();
    expect((await api.stored())['chat_messages']).toBe(messages);
  });

  it('every text is answered, by exactly one reply', async () => {
    const rows = await api.sql(
      `SELECT m.external_id, m.status, (SELECT count(*)::int FROM chat_messages r WHERE r.answers @> ARRAY[m.id]) AS replies
       FROM chat_messages m WHERE m.role = 'user'`,
    );
    expect(rows.length).toBeGreaterThan(500);
    const wrong = rows.filter((row) => row['status'] !== 'answered' || row['replies'] !== 1);
    expect(wrong).toEqual([]);
  });

  it('two people of the set never share a conversation', () => {
    const byDevice = new Map<string, Set<string>>();
    for (const [key, device] of people) {
      const person = key.split(' ')[0] ?? '';
      byDevice.set(device, (byDevice.get(device) ?? new Set()).add(person));
    }
    expect([...byDevice.values()].filter((persons) => persons.size > 1)).toEqual([]);
  });
});
