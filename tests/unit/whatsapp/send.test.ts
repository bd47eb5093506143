import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createWhatsAppChannel } from '../../../lib/channels/whatsapp/send.ts';
import { readConfig } from '../../../lib/config.ts';
import { setSink } from '../../../lib/log.ts';
import type { DeviceId, OutgoingReply } from '../../../lib/storage/storage.ts';
import { type Graph, type GraphAnswer, startGraph } from '../../support/graph.ts';
import { captureLog } from '../../support/logged.ts';
import { noon } from '../../support/turns.ts';

const events = captureLog();
const TOKEN = 'EAAG-secret-token';
const PHONE = '12025550101';

function channelAt(url: string, env: Record<string, string> = {}) {
  const result = readConfig({ WHATSAPP_ACCESS_TOKEN: TOKEN, WHATSAPP_API_URL: url, ...env });
  if (!result.ok) throw new Error(result.mistakes.join(' '));
  return createWhatsAppChannel(result.config);
}

const replyWith = (some: Partial<OutgoingReply> = {}): OutgoingReply => ({
  id: '77',
  messageId: null,
  role: 'assistant',
  content: 'confidential',
  agent: 'manager',
  metadata: {},
  sentAt: noon,
  createdAt: noon,
  attempts: 1,
  address: { phone: PHONE },
  inWindow: true,
  ...some,
});
const place = { device: 'd' as DeviceId, account: '200000000000001' };
const never = new AbortController().signal;

const answerOf = (
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): GraphAnswer => ({ status, headers, body });
const refusal = (code: number, more: object = {}) => ({ error: { code, message: PHONE, ...more } });

describe('what became of a reply', () => {
  let graph: Graph;
  beforeAll(async () => {
    graph = await startGraph();
  });
  afterEach(() => {
    graph.reset();
    vi.restoreAllMocks();
    expect(JSON.stringify(events)).not.toMatch(new RegExp(`confidential|${TOKEN}|${PHONE}`));
  });
  afterAll(() => graph.close());

  const send = (some: Partial<OutgoingReply> = {}, env: Record<string, string> = {}) =>
    channelAt(graph.url, env).send(replyWith(some), place, never);

  it('taken: it has Meta’s id', async () => {
    graph.answerNext(answerOf(200, { messages: [{ id: 'wamid.1' }], contacts: 'whatever' }));
    expect(await send()).toEqual({ id: '77', status: 'sent', externalId: 'wamid.1' });
    expect(events).toEqual([]);
  });

  it.each([
    ['an empty body', ''],
    ['a page', '<html>'],
    ['no messages', { messaging_product: 'whatsapp' }],
    ['an empty list', { messages: [] }],
    ['an id that is none', { messages: [{ id: 7 }] }],
    ['an id that cannot be stored', { messages: [{ id: 'wamid.\u0000' }] }],
    ['an id that cannot be indexed', { messages: [{ id: 'w'.repeat(5_000) }] }],
  ])('taken, it seems, but with %s: nobody knows', async (_, body) => {
    graph.answerNext(answerOf(200, body));
    expect(await send()).toEqual({ id: '77', status: 'unknown', error: 'no_message_id' });
  });

  it.each([
    [500, refusal(131000)],
    [400, refusal(131000)],
    [499, refusal(131016)],
  ])('a code in Meta’s form decides, whatever the status: %i', async (status, body) => {
    graph.answerNext(answerOf(status, body));
    expect(await send({ attempts: 2 })).toMatchObject({ status: 'pending', retryMs: 4_000 });
  });

  it.each([
    ['a 5xx', 503, refusal(7_777)],
    ['a 429', 429, refusal(7_777)],
    ['its own word', 400, refusal(7_777, { is_transient: true })],
  ])('a code nobody knows passes by %s', async (_, status, body) => {
    graph.answerNext(answerOf(status, body));
    expect(await send()).toMatchObject({ status: 'pending', error: 'graph_7777', retryMs: 1_000 });
  });

  it('a code nobody knows is final else', async () => {
    graph.answerNext(answerOf(400, refusal(7_777)));
    expect(await send()).toEqual({ id: '77', status: 'failed', error: 'graph_7777' });
  });

  it('429 without a code of Meta’s: surely not taken, and later', async () => {
    graph.answerNext(answerOf(429, 'slow down', { 'retry-after': '30' }));
    expect(await send()).toEqual({
      id: '77',
      status: 'pending',
      error: 'http_429',
      retryMs: 30_000,
    });
  });

  it.each([302, 400, 401, 403, 404, 413])(
    '%i without a code of Meta’s: the request never reached it, and the owner hears of it',
    async (status) => {
      graph.answerNext(answerOf(status, '<html>', { location: 'https://elsewhere.example/' }));
      expect(await send()).toEqual({ id: '77', status: 'failed', error: `http_${status}` });
      expect(events).toMatchObject([{ level: 'error', event: 'reply_not_sent', reply_id: '77' }]);
    },
  );

  it.each([408, 500, 502, 503, 504])(
    '%i without a code of Meta’s: nobody knows what happened behind it',
    async (status) => {
      graph.answerNext(answerOf(status, '<html>', { 'retry-after': '1' }));
      expect(await send()).toEqual({ id: '77', status: 'unknown', error: `http_${status}` });
      expect(events).toMatchObject([{ level: 'warn', event: 'reply_not_sent', reply_id: '77' }]);
    },
  );

  it.each([
    ['30', 30_000],
    ['0', 1_000],
    ['-5', 1_000],
    ['soon', 1_000],
    ['', 1_000],
    ['99999999999999999999', 86_400_000],
    [new Date(Date.now() - 60_000).toUTCString(), 1_000],
  ])('Retry-After: %s', async (value, retryMs) => {
    graph.answerNext(answerOf(400, refusal(131016), { 'retry-after': value }));
    expect(await send()).toMatchObject({ status: 'pending', retryMs });
  });

  it('Retry-After as a date', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    graph.answerNext(answerOf(400, refusal(131016), { 'retry-after': date }));
    const { retryMs = 0 } = await send();
    expect(retryMs).toBeGreaterThan(55_000);
    expect(retryMs).toBeLessThanOrEqual(60_000);
  });

  it('a Retry-After does not make a refusal pass that never does', async () => {
    graph.answerNext(answerOf(400, refusal(131026), { 'retry-after': '1' }));
    expect(await send()).toEqual({ id: '77', status: 'failed', error: 'graph_131026' });
  });

  it.each([131056, 4])(
    '%i stops counting at MAX_ATTEMPTS, and waits as long as it ever does',
    async (code) => {
      graph.answerNext(answerOf(400, refusal(code)), answerOf(400, refusal(code)));
      const longest = code === 4 ? 10_800_000 : 256_000;
      expect(await send({ attempts: 2 }, { MAX_ATTEMPTS: '3' })).not.toHaveProperty('untried');
      expect(await send({ attempts: 3 }, { MAX_ATTEMPTS: '3' })).toMatchObject({
        status: 'pending',
        untried: true,
        retryMs: longest,
      });
    },
  );

  it('nobody listens: surely not taken', async () => {
    const gone = await startGraph();
    await gone.close();
    expect(await channelAt(gone.url).send(replyWith({ attempts: 3 }), place, never)).toEqual({
      id: '77',
      status: 'pending',
      error: 'ECONNREFUSED',
      retryMs: 16_000,
    });
  });

  it('no such host: surely not taken', async () => {
    const { send: sendNowhere } = channelAt('https://graph.invalid');
    expect(await sendNowhere(replyWith(), place, never)).toMatchObject({ status: 'pending' });
  });

  it('the line drops once the message is out: nobody knows', async () => {
    graph.answerNext('drop');
    expect(await send()).toMatchObject({ status: 'unknown', error: 'UND_ERR_SOCKET' });
  });

  it('no answer within ten seconds: nobody knows', async () => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const asked = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => timeout(30));
    graph.answerNext('hang');
    expect(await send()).toEqual({ id: '77', status: 'unknown', error: 'no_answer' });
    expect(asked).toHaveBeenCalledWith(10_000);
  });

  it('the turn is lost while Meta is asked: nobody knows', async () => {
    const turn = new AbortController();
    graph.onSend(() => turn.abort(new Error('turn_lost')));
    graph.answerNext('hang');
    expect(await channelAt(graph.url).send(replyWith(), place, turn.signal)).toMatchObject({
      status: 'unknown',
    });
    graph.onSend(() => {});
  });

  it('nobody knows how to reach the person: it fails, and nothing is sent', async () => {
    const before = graph.sent.length;
    expect(await send({ address: {} })).toEqual({
      id: '77',
      status: 'failed',
      error: 'no_recipient',
    });
    expect(graph.sent).toHaveLength(before);
  });

  it('the person has not written for 24 hours: it fails, and nothing is sent', async () => {
    const before = graph.sent.length;
    expect(await send({ inWindow: false })).toEqual({
      id: '77',
      status: 'failed',
      error: 'outside_window',
    });
    expect(graph.sent).toHaveLength(before);
  });

  it('with a template to reopen the conversation, that is to go out in its place', async () => {
    const env = { WHATSAPP_REOPEN_TEMPLATE: 'reopen_chat' };
    const reply = { kind: 'template', name: 'reopen_chat', language: 'en_US' };
    const instead = { content: '', metadata: { reply }, agent: 'manager' };
    expect(await send({ inWindow: false }, env)).toMatchObject({ status: 'failed', instead });
    graph.answerNext(answerOf(400, refusal(131047)));
    expect(await send({}, env)).toMatchObject({ status: 'failed', instead });
    // and never in its own
    graph.answerNext(answerOf(400, refusal(131047)));
    const own = await send({ inWindow: false, metadata: { reply } }, env);
    expect(own).toEqual({ id: '77', status: 'failed', error: 'outside_window' });
  });
});

describe('without an access token', () => {
  const { send } = channelAt('https://graph.invalid', { WHATSAPP_ACCESS_TOKEN: '' });
  const buttons = { reply: { kind: 'buttons', buttons: [{ id: 'a', title: 'A' }] } };

  it('a reply is printed on the developer’s screen, with what there is beside its text', async () => {
    setSink((event) => events.push(event), true);
    expect(await send(replyWith(), place, never)).toEqual({ id: '77', status: 'printed' });
    await send(replyWith({ metadata: buttons }), place, never);
    expect(events.map((event) => event['text'])).toEqual([
      'confidential',
      'confidential {"kind":"buttons","buttons":[{"id":"a","title":"A"}]}',
    ]);
  });

  it('of the text nothing reaches a log', async () => {
    setSink((event) => events.push(event));
    await send(replyWith({ metadata: buttons }), place, never);
    expect(events).toMatchObject([{ event: 'reply_printed', device_id: 'd', reply_id: '77' }]);
    expect(JSON.stringify(events)).not.toMatch(/confidential|buttons/);
  });
});
