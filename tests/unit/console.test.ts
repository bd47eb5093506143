import { expect, test } from 'vitest';
import { formatEvent } from '../../dev/console.ts';

const time = new Date(2026, 10, 21, 12, 0, 1).toISOString();
const device_id = '018f2c3e-7b1a-7c4d-9e21-5a0d3f6b8c11';
const turn = {
  level: 'info',
  event: 'turn',
  time,
  channel: 'whatsapp',
  device_id,
  agent: 'scheduling',
  outcome: 'answered',
  messages: 1,
  duration_ms: 41,
} as const;

test('an answered turn tells who, which agent and how long', () => {
  expect(formatEvent(turn)).toBe('12:00:01  whatsapp  018f2c…  scheduling  41 ms');
});

test('any other turn tells also why', () => {
  const lost = {
    ...turn,
    level: 'warn',
    agent: null,
    outcome: 'agent_failed',
    code: 'E1',
  } as const;
  expect(formatEvent(lost)).toBe(
    '12:00:01  whatsapp  018f2c…  -           41 ms  agent_failed  messages=1  code=E1',
  );
});

test('a reply that was only printed shows its text below its turn', () => {
  const reply = { level: 'info', event: 'reply_printed', time, text: 'See you then!' } as const;
  expect(formatEvent(reply)).toBe('          → See you then!');
});

test('every other event shows its fields', () => {
  const event = {
    level: 'info',
    event: 'recovered',
    time,
    turns: 2,
    what: 'a b',
    none: null,
  } as const;
  expect(formatEvent(event)).toBe('12:00:01  recovered  turns=2  what="a b"  none=null');
});

test.each([
  ['a line break', 'a\nb', 'a\\u000ab'],
  ['an escape sequence', '\u001b[2Jgone', '\\u001b[2Jgone'],
  ['a C1 control', '\u009b2J', '\\u009b2J'],
  ['text run backwards', 'a\u202eb', 'a\\u202eb'],
  ['a line separator', 'a\u2028b', 'a\\u2028b'],
])('%s cannot act on the terminal', (_name, text, shown) => {
  const reply = { level: 'info', event: 'reply_printed', time, text } as const;
  expect(formatEvent(reply)).toBe(`          → ${shown}`);
});
