import { describe, expect, it } from 'vitest';
import { type LeakWatch, watchForLeaks } from '../support/leaks.ts';

/** Every kind of thing that a log may not hold, with how it is sent. */
const secrets: Record<string, { text: string; send: (text: string) => string }> = {
  'a message': { text: 'my knee hurts', send: (message) => JSON.stringify({ message }) },
  'a reply': { text: 'On its way.', send: (content) => JSON.stringify({ replies: [{ content }] }) },
  'a text on WhatsApp': {
    text: 'I am "here"\n',
    send: (body) => JSON.stringify({ entry: [{ messages: [{ text: { body } }] }] }),
  },
  'a phone number': {
    text: '12025550101',
    send: (from) => JSON.stringify({ messages: [{ from }] }),
  },
  'what stands in a state': {
    text: 'room 7, second floor',
    send: (b) => JSON.stringify({ state: { a: [{ b }] } }),
  },
  metadata: { text: 'card 4111 1111', send: (a) => JSON.stringify({ metadata: { a } }) },
  'a user of WhatsApp': {
    text: 'US.10000000000000000101',
    send: (user_id) => JSON.stringify({ contacts: [{ user_id }] }),
  },
  'what stands in a field that nobody thought of': {
    text: 'my knee hurts',
    send: (words) => JSON.stringify({ entry: [{ new_things: { words } }] }),
  },
  'a user token': {
    text: 'eyJhbGciOiJIUzI1NiJ9.e30.x',
    send: (t) => JSON.stringify({ user_token: t }),
  },
  'a device token': {
    text: 'eyJhbGciOiJIUzI1NiJ9.e30.y',
    send: (token) => JSON.stringify({ token }),
  },
};

describe('the watch that every test of the API keeps over the log', () => {
  const found = (watch: LeakWatch, fields: object): string[] => {
    watch.logged({
      level: 'info',
      event: 'something',
      time: '2026-01-01T00:00:00.000Z',
      ...fields,
    });
    return watch.find();
  };
  const bytes = (text: string) => new TextEncoder().encode(text);

  it.each(Object.entries(secrets))('finds %s', (_, { text, send }) => {
    for (const body of [send(text), bytes(send(text))]) {
      for (const fields of [
        { detail: `it was ${text}!` },
        { nested: { list: [text] } },
        { detail: `it was ${JSON.stringify({ text })}` },
        { [text]: 1 },
      ]) {
        const watch = watchForLeaks();
        watch.body(body);
        expect(found(watch, { detail: 'nothing' })).toEqual([]);
        expect(found(watch, fields)).toHaveLength(1);
        expect(watch.find()).toEqual([]);
      }
    }
  });

  it('finds the beginning of a long text, however much was sent before and after', () => {
    const watch = watchForLeaks();
    for (let i = 0; i < 10_000; i++) watch.text(`message number ${i}`);
    watch.text(`the last of them all ${'x'.repeat(1_000_000)}`);
    watch.text('and one more behind it');
    expect(found(watch, { start: 'the last of them all xxxxxxxx…' })).toHaveLength(1);
  });

  it('finds a single word, where it is all that a field has', () => {
    const watch = watchForLeaks();
    watch.body(JSON.stringify({ message: 'hello' }));
    expect(found(watch, { detail: 'nobody says hello here' })).toEqual([]);
    expect(found(watch, { nested: { list: ['hello'] } })).toHaveLength(1);
  });

  it('finds what is no JSON by its beginning', () => {
    const watch = watchForLeaks();
    watch.body('{"message":"my knee hurts');
    expect(found(watch, { body: '{"message":"my knee hurts' })).toHaveLength(1);
  });

  it('finds credentials, of headers and of settings', () => {
    const watch = watchForLeaks();
    watch.headers(new Headers({ authorization: `Bearer ${'k'.repeat(32)}` }));
    watch.settings({ API_KEYS: `${'a'.repeat(32)}, ${'b'.repeat(32)}`, SESSION_TTL: '12345678' });
    expect(found(watch, { ttl: '12345678' })).toEqual([]);
    expect(found(watch, { a: 'k'.repeat(32), b: 'b'.repeat(32) })).toHaveLength(2);
  });

  it('finds who and what was asked for in the address', () => {
    const watch = watchForLeaks();
    watch.url('https://baton.example/api/chat/sessions?user_id=ann%40home&q=sore+knee&limit=10');
    watch.url('https://baton.example/api/chat/users/ben');
    expect(found(watch, { limit: '10' })).toEqual([]);
    expect(found(watch, { of: 'ann@home', words: 'sore knee, it said', user: 'ben' })).toHaveLength(
      3,
    );
  });

  it('takes ids, codes and agents for what they are', () => {
    const watch = watchForLeaks();
    watch.body(
      JSON.stringify({ message: 'billing', message_id: 'wamid.12345678', status: 'sent' }),
    );
    expect(found(watch, { agent: 'billing', id: 'wamid.12345678', status: 'sent' })).toEqual([]);
  });
});
