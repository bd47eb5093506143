import { describe, expect, it } from 'vitest';
import type { LogEvent } from '../../lib/log.ts';
import { watchForLeaks } from '../support/leaks.ts';

const logged = (fields: object): LogEvent[] => [
  { level: 'info', event: 'something', time: '2026-01-01T00:00:00.000Z', ...fields },
];

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
  it.each(Object.entries(secrets))('finds %s', (_, { text, send }) => {
    const watch = watchForLeaks();
    watch.body(send(text));
    expect(watch.find(logged({ detail: `it was ${text}!` }))).toHaveLength(1);
    expect(watch.find(logged({ nested: { list: [text] } }))).toHaveLength(1);
    expect(watch.find(logged({ detail: 'nothing' }))).toEqual([]);
  });

  it('finds credentials, of headers and of settings', () => {
    const watch = watchForLeaks();
    watch.headers(new Headers({ authorization: `Bearer ${'k'.repeat(32)}` }));
    watch.settings({ API_KEYS: `${'a'.repeat(32)}, ${'b'.repeat(32)}`, SESSION_TTL: '12345678' });
    const log = logged({ a: 'k'.repeat(32), b: 'b'.repeat(32), ttl: '12345678' });
    expect(watch.find(log)).toHaveLength(2);
  });

  it('takes ids, codes and agents for what they are', () => {
    const watch = watchForLeaks();
    watch.body(
      JSON.stringify({ message: 'billing', message_id: 'wamid.12345678', token: '12345678' }),
    );
    watch.body('no JSON at all 12345678');
    expect(
      watch.find(logged({ agent: 'billing', id: 'wamid.12345678', fence: '12345678' })),
    ).toEqual([]);
  });
});
