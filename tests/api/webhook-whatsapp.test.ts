import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { signBytes } from '../support/sign.ts';
import { type Api, startApi } from '../support/api.ts';
import { expectProblem, refuse } from '../support/problems.ts';
import { expectations, NUMBERS, recorded } from './whatsapp.ts';

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
const settings = {
  WHATSAPP_APP_SECRET: SECRET,
  WHATSAPP_VERIFY_TOKEN: getCases.verify_token,
  WHATSAPP_PHONE_NUMBER_IDS: NUMBERS,
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
      raw: await recorded(signatureCases.body_file),
      headers: header === null ? {} : { 'x-hub-signature-256': header },
    });
    await api.settled();
    const allowed = wanted.startsWith('401') ? [401] : wanted.includes('401') ? [200, 401] : [200];
    expect(allowed).toContain(answer.status);
    if (answer.status === 401) expectProblem(answer, 401, 'unauthorized');
  });

  it('of the empty secret, where none is set: 401, and nothing is stored', async () => {
    const raw = await recorded('msg-text.json');
    const headers = { 'x-hub-signature-256': `sha256=${signBytes(raw, '')}` };
    await refuse(unset, [401, 'unauthorized'], 'POST', PATH, { raw, headers });
  });

  it('missing on a body that is no JSON: 401 all the same', async () => {
    await refuse(api, [401, 'unauthorized'], 'POST', PATH, { raw: 'no json' });
  });

  it('of a second secret in the list is good too, so that secrets can be rotated', async () => {
    const rotated = await startApi({ ...settings, WHATSAPP_APP_SECRET: `new,${SECRET}` });
    const headers = { 'x-hub-signature-256': signatures['msg-text.json'] ?? '' };
    const raw = await recorded('msg-text.json');
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

describe('POST: every body of the set, with the signature it was recorded with', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApi(settings);
  });
  afterAll(() => api.close());

  it.each(Object.entries(expectations))('%s', async (file, { http, http_also: also }) => {
    const headers = { 'x-hub-signature-256': signatures[file] ?? '' };
    const answer = await api.call('POST', PATH, { raw: await recorded(file), headers });
    await api.settled();
    expect([http, ...also]).toContain(answer.status);
    if (answer.status === 200) expect(answer.json).toEqual({ received: expect.any(Number) });
  });
});
