import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { granted, worker } from './turns.ts';

let api: Api;
let device: string;
let token: string;

beforeAll(async () => {
  // the device of each test has its turn held: nobody waits for it
  api = await startApi({ REPLY_WAIT: '0' });
});
beforeEach(async () => {
  device = crypto.randomUUID();
  token = granted(await worker(api, device).submit('first')).turn.token;
});
afterAll(() => api.close());

type Place = readonly [
  name: string,
  method: string,
  path: string,
  body: (document: string) => string,
];

/** Where a caller's JSON document goes; each puts the document's text into a body. */
const places: readonly Place[] = [
  ['state', 'PUT', '/api/state', (document) => `{"state":${document}}`],
  ['patch', 'PATCH', '/api/state', (document) => document],
  [
    'metadata of a message',
    'POST',
    '/api/turn',
    (document) => `{"message_id":"m2","content":"x","metadata":${document}}`,
  ],
  [
    'metadata of a web message',
    'POST',
    '/api/webhooks/web',
    (document) => `{"message":"x","metadata":${document}}`,
  ],
  [
    'state of an answer',
    'PUT',
    '/api/turn',
    (document) => `{"token":"${token}","state":${document}}`,
  ],
  [
    'state_patch of an answer',
    'PUT',
    '/api/turn',
    (document) => `{"token":"${token}","state_patch":${document}}`,
  ],
  [
    'metadata of a reply',
    'PUT',
    '/api/turn',
    (document) => `{"token":"${token}","replies":[{"content":"x","metadata":${document}}]}`,
  ],
];

function optionsFor([, method, path, body]: Place, document: string): CallOptions {
  const type =
    method === 'PATCH' && path === '/api/state'
      ? 'application/merge-patch+json'
      : 'application/json';
  return { device, raw: body(document), type };
}

const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

describe.for(places)('%s', (place) => {
  const [, method, path] = place;
  const refused = (status: number, code: string, document: string) =>
    refuse(api, [status, code], method, path, optionsFor(place, document));
  const accepted = async (document: string) => {
    const answer = await api.call(method, path, optionsFor(place, document));
    expect([200, 202], answer.text).toContain(answer.status);
    await api.settled();
  };

  test.for([
    ['U+0000 in a value', String.raw`{"a":"x\u0000y"}`],
    ['U+0000 in a key', String.raw`{"x\u0000y":1}`],
    ['U+0000 deep inside', String.raw`{"a":[{"b":[["\u0000"]]}]}`],
    ['half a surrogate pair in a value', String.raw`{"a":"\ud83d"}`],
    ['the other half in a value', String.raw`{"a":"\ude00 first"}`],
    ['a pair the wrong way round', String.raw`{"a":"\ude00\ud83d"}`],
    ['half a surrogate pair in a key', String.raw`{"\ud83d":1}`],
    ['half a surrogate pair deep inside', String.raw`{"a":{"b":[1,{"c":"\ud800"}]}}`],
  ] as const)('400 unstorable_text: %s', async ([, document]) => {
    await refused(400, 'unstorable_text', document);
  });

  test.for([
    ['1e400', '{"a":1e400}'],
    ['-1e400 in a list', '{"a":[-1e400]}'],
    ['101 levels of objects', nested(101)],
    ['a hundred thousand lists in each other', `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`],
  ] as const)('400 invalid_request with errors: %s', async ([, document]) => {
    const { problem } = await refused(400, 'invalid_request', document);

    expect(problem.errors).toBeDefined();
  });

  test.for([
    ['a whole surrogate pair', String.raw`{"a":"\ud83d\ude00","😀":1}`],
    ['other control characters', String.raw`{"a":"\u0001\u001f\u007f\ufffe\uffff"}`],
    ['100 levels', nested(100)],
    ['the largest number', '{"a":1.7976931348623157e308,"b":1e-400}'],
  ] as const)('accepts %s', async ([, document]) => {
    await accepted(document);
  });
});

describe('__proto__ and its like are keys as any other', () => {
  const entries = [
    '"__proto__":{"polluted":true}',
    '"constructor":{"prototype":{"polluted":true}}',
    '"toString":"x"',
  ];
  const document = `{${entries.join(',')}}`;

  test('in a state, put and read again', async () => {
    await api.call('PUT', '/api/state', { device, raw: `{"state":${document}}` });

    const { text } = await api.call('GET', '/api/state', { device });
    // looked for in the text: a matcher may pass by a key of this name
    for (const entry of entries) expect(text).toContain(entry);
  });

  test('in a merge patch, set and removed', async () => {
    const type = 'application/merge-patch+json';
    const set = await api.call('PATCH', '/api/state', { device, raw: document, type });
    expect(set.text).toContain('"__proto__":{"polluted":true}');

    const removed = await api.call('PATCH', '/api/state', {
      device,
      raw: '{"__proto__":null}',
      type,
    });
    expect(removed.text).not.toContain('__proto__');
    expect(removed.text).toContain('"constructor"');
  });

  test('in the metadata of a message and the state of a grant', async () => {
    await worker(api, device).giveBack(token);
    await api.call('PUT', '/api/state', { device, raw: `{"state":${document}}` });
    const raw = `{"message_id":"m2","content":"x","metadata":${document}}`;

    const { text } = await api.call('POST', '/api/turn', { device, raw });

    expect(text.match(/"__proto__":\{"polluted":true\}/g)).toHaveLength(2);
  });

  test('in a state that a web message’s agents work on', async () => {
    await worker(api, device).answer(token);
    await api.call('PUT', '/api/state', { device, raw: `{"state":${document}}` });
    const body = { message: 'I want to book a haircut' };
    expect((await api.call('POST', '/api/webhooks/web', { device, body })).status).toBe(200);
    await api.settled();

    const { text } = await api.call('GET', '/api/state', { device });
    expect(text).toContain('"__proto__":{"polluted":true}');
    expect(text).toContain('"scheduling":');
  });

  test('no call has changed the prototype of everything', () => {
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});

describe('the text of a message is cleaned and never lost: U+0000 goes, half a pair becomes U+FFFD', () => {
  const dirty = 'be\u0000fore \ud83d after \ude00 😀\u0000';
  const clean = 'before \ufffd after \ufffd 😀';

  test('of a web message', async () => {
    await worker(api, device).answer(token);
    const body = { message: dirty, message_id: 'dirty' };
    expect((await api.call('POST', '/api/webhooks/web', { device, body })).status).toBe(200);

    const rows = await api.sql(
      `SELECT content FROM chat_messages WHERE device_id = $1 AND external_id = 'dirty'`,
      [device],
    );
    expect(rows).toEqual([{ content: clean }]);
  });

  test('of a message and of a reply of a worker elsewhere', async () => {
    const elsewhere = worker(api, device);
    await elsewhere.answer(token, { replies: [{ content: dirty }] });

    const { messages, history } = granted(await elsewhere.submit('dirty', dirty));

    expect(messages).toMatchObject([{ content: clean }]);
    expect(history.at(-1)).toMatchObject({ role: 'assistant', content: clean });
  });
});
