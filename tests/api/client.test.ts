import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documented } from '../../dev/openapi/document.ts';
import { BatonProblem, type Client, createClient } from '../../lib/client.ts';
import type { Turn } from '../../lib/client-types.ts';
import { signBytes } from '../support/sign.ts';
import { type Api, DIGITS, startApi, UUID } from '../support/api.ts';
import { operationOf } from '../support/documented.ts';

const KEY = 'a-key-of-this-deployment-00000001';
const SECRET = 'secret-that-signs-device-tokens-1';
const CRON = 'secret-of-the-cron-which-is-long-1';
const META = 'secret-of-the-app-at-meta';
const VERIFY = 'a word for Meta';

let api: Api;
let operator: Client;
/** A browser that has registered. */
let browser: Client;
const driven = new Set<string>();

/** What `fetch` would do, had the deployment an address. */
async function toApi(url: string, init: RequestInit): Promise<Response> {
  const { method = 'GET', body } = init;
  const path = url.slice('https://baton.example'.length);
  const answer = await api.call(method, path, {
    headers: Object.fromEntries(new Headers(init.headers)),
    ...(typeof body === 'string' && { raw: body, type: null }),
  });
  driven.add(operationOf(method, path)?.name ?? `${method} ${path}`);
  const empty = answer.status === 204;
  return new Response(empty ? null : answer.text, {
    status: answer.status,
    headers: answer.headers,
  });
}

beforeAll(async () => {
  api = await startApi({
    API_KEYS: KEY,
    DEVICE_TOKEN_SECRET: SECRET,
    CRON_SECRET: CRON,
    WHATSAPP_APP_SECRET: META,
    WHATSAPP_VERIFY_TOKEN: VERIFY,
    MAX_ATTEMPTS: '1',
  });
  const anybody = createClient({ url: 'https://baton.example', fetch: toApi });
  operator = anybody.with({ token: KEY });
  const { token, device_id: device } = await anybody.device.register();
  browser = anybody.with({ token, device });
});
afterAll(() => api.close());

const problem = (call: Promise<unknown>) => call.catch((error: unknown) => error);

/** The turn, which must have been given. */
function given(taken: object): Turn {
  if (!('messages' in taken)) throw new Error('no turn was given');
  return taken as Turn;
}

test('lock: get, set, renew, guard, clear', async () => {
  expect(await browser.lock.get()).toMatchObject({ active_agent: null });

  const lock = await browser.lock.set({ agent: 'support', session_ttl: 60 }, { ifAbsent: true });
  if (lock.active_agent === null) throw new Error('nobody holds it');
  expect(lock).toMatchObject({ active_agent: 'support', session_ttl: 60 });

  const taken = await problem(browser.lock.set({ agent: 'billing' }, { ifAbsent: true }));
  expect(taken).toBeInstanceOf(BatonProblem);
  expect(taken).toMatchObject({ code: 'version_conflict', status: 412 });
  await browser.lock.set({ agent: 'billing' }, { ifVersion: lock.version });
  expect(await problem(browser.lock.clear({ ifVersion: lock.version }))).toMatchObject({
    code: 'version_conflict',
  });
  await browser.lock.clear();
  expect(await browser.lock.get()).toMatchObject({ active_agent: null });
});

test('state: replace, merge, get, clear', async () => {
  await browser.state.replace({ a: 1, b: { c: 2 } });
  const merged = await browser.state.merge({ b: { c: null, d: [3] } });
  expect(merged).toMatchObject({ state: { a: 1, b: { d: [3] } } });
  expect(await browser.state.get()).toEqual(merged);
  await browser.state.clear();
  expect(await browser.state.get()).toMatchObject({ state: {} });
});

test('turn: take, answer, go on, renew, give back', async () => {
  const first = given(await browser.turn.take({ message_id: 'm1', content: 'Where is it?' }));
  expect(first.messages).toMatchObject([{ message_id: 'm1', content: 'Where is it?' }]);
  expect(await browser.turn.take({ message_id: 'm2', content: 'Hello?' })).toEqual({
    turn: null,
    queued: true,
  });
  expect(await browser.turn.renew(first.turn.token)).toMatchObject({
    turn: { token: first.turn.token },
  });

  const reply = { replies: [{ content: 'On its way' }], state_patch: { topic: 'parcel' } };
  const next = given(await browser.turn.answer(first.turn.token, reply));
  expect(next.messages).toMatchObject([{ message_id: 'm2' }]);
  await browser.turn.giveBack(next.turn.token);

  const again = given(await browser.turn.take());
  expect(await browser.turn.answer(again.turn.token, { replies: [] })).toEqual({ turn: null });
  expect(await browser.turn.take({ message_id: 'm1', content: 'Where is it?' })).toEqual({
    turn: null,
    duplicate: true,
  });
  expect(await problem(browser.turn.renew(again.turn.token))).toMatchObject({ code: 'turn_lost' });
});

test('what was set aside: seen and retried by operators', async () => {
  const device = crypto.randomUUID();
  const bot = operator.with({ device });
  await bot.turn.take({ message_id: 'm1', content: 'Hello' });
  await api.sql(`UPDATE chat_messages SET status = 'failed', error = 'x' WHERE device_id = $1`, [
    device,
  ]);

  const { messages, next_cursor: next } = await bot.turn.failed({ limit: 1 });
  expect(messages).toMatchObject([{ device_id: device, error: 'x' }]);
  expect(next).toBeNull();
  expect(await bot.turn.retryFailed()).toEqual({ retried: 1, more: false });
  expect(await problem(browser.turn.failed())).toMatchObject({ code: 'forbidden', status: 403 });
});

test('sessions: begin, send, history, download, list, search, change, delete', async () => {
  const begun = await browser.sessions.begin({ metadata: { page: '/prices' } });
  expect(begun.session_id).toMatch(UUID);
  const id = begun.session_id;

  const answer = await browser.sessions.send(id, { message: 'Hello there', message_id: 'm1' });
  if ('queued' in answer) throw new Error('it was queued');
  expect(answer).toMatchObject({ message_id: 'm1', user_message: 'Hello there' });
  const { messages, total_messages: total } = await browser.sessions.history(id, {
    max_messages: 1,
  });
  expect([messages.length, total]).toEqual([1, 2]);

  for (const format of ['jsonl', 'csv', 'md'] as const) {
    expect(await (await browser.sessions.download(id, format)).text()).toContain('Hello there');
  }
  const listed = await browser.sessions.list({ active: true, limit: 5 });
  expect(listed.sessions.map((session) => session.session_id)).toContain(id);
  const found = await browser.sessions.list({ q: 'there' });
  expect(found.sessions[0]?.matches?.[0]?.snippet).toContain('there');

  const changed = await browser.sessions.change(id, { metadata: { rating: 5 }, complete: true });
  expect(changed).toMatchObject({ complete: true, metadata: { page: '/prices', rating: 5 } });
  expect(await problem(browser.sessions.send(id, { message: 'More' }))).toMatchObject({
    code: 'session_complete',
  });
  expect(await browser.sessions.get(id)).toEqual(changed);
  await browser.sessions.delete(id);
  expect(await problem(browser.sessions.get(id))).toMatchObject({ code: 'session_not_found' });
});

test('device: what is stored, and a new token', async () => {
  const stored = await browser.device.get();
  expect(stored.messages.user).toBeGreaterThan(0);

  const renewed = await browser.device.register();
  expect(renewed.device_id).toBe(stored.device_id);
  const again = browser.with({ token: renewed.token });
  expect((await again.lock.get()).device_id).toBe(stored.device_id);
});

test('say: a message and its replies', async () => {
  const { token, device_id: device } = await browser
    .with({ token: KEY, device: crypto.randomUUID() })
    .device.register();
  const answer = await browser.with({ token, device }).say({ message: 'I would like to book' });
  if ('queued' in answer) throw new Error('it was queued');
  expect(answer).toMatchObject({ active_agent: 'scheduling', persisted: true });
  expect(answer.replies).toHaveLength(1);
});

test('figures: as JSON, and for Prometheus', async () => {
  const yesterday = new Date(Date.now() - 86_400_000).toISOString();
  expect((await operator.stats({ since: yesterday })).since).toBe(yesterday);
  expect(await operator.metrics()).toMatch(/^# HELP baton_/);
  expect(await problem(browser.stats())).toMatchObject({ code: 'forbidden' });
});

test('health, and the clean-up', async () => {
  expect(await browser.health()).toMatchObject({ status: 'ok' });
  expect(await operator.with({ token: CRON }).cleanUp()).toMatchObject({ more: false });
  expect(await problem(operator.cleanUp())).toMatchObject({ code: 'unauthorized' });
});

test('link: offer a code, join by it, part', async () => {
  const guest = operator.with({ device: crypto.randomUUID() });
  const { code } = await browser.device.offerLink();
  await browser.state.replace({ shared: 1 });
  expect(await guest.device.link(code)).toMatchObject({ linked: true });
  expect(await guest.state.get()).toMatchObject({ state: { shared: 1 } });
  await guest.device.unlink();
  expect(await guest.state.get()).toMatchObject({ state: {} });
  const wrong = code === '000000' ? '000001' : '000000';
  expect(await problem(guest.device.link(wrong))).toMatchObject({ code: 'link_code_invalid' });
});

test('erase: a device, and everything of a user', async () => {
  const device = crypto.randomUUID();
  const own = operator.with({ device });
  await own.state.replace({ a: 1 });
  await own.device.erase();
  expect(await problem(own.device.get())).toMatchObject({ code: 'device_not_found' });

  await own.sessions.begin({ user_id: 'anna@example.com' });
  expect(await operator.eraseUser('anna@example.com')).toMatchObject({ devices: 1, sessions: 1 });
});

describe('every operation of the document', () => {
  test('is driven by the client, but for the two that are for Meta alone', () => {
    const names = documented().map(({ name }) => name);
    expect([...driven].toSorted()).toEqual(
      names.filter((name) => !name.includes('whatsapp')).toSorted(),
    );
  });

  test('those two answer as the document says', async () => {
    const query = new URLSearchParams({
      'hub.mode': 'subscribe',
      'hub.verify_token': VERIFY,
      'hub.challenge': '1158201444',
    });
    const verified = await api.call('GET', `/api/webhooks/whatsapp?${query.toString()}`);
    expect(verified.text).toMatch(DIGITS);

    const raw = JSON.stringify({ object: 'whatsapp_business_account', entry: [] });
    const signature = signBytes(Buffer.from(raw), META);
    const received = await api.call('POST', '/api/webhooks/whatsapp', {
      raw,
      headers: { 'x-hub-signature-256': `sha256=${signature}` },
    });
    expect([received.status, received.json]).toEqual([200, { received: 0 }]);
  });
});
