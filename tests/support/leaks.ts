import type { LogEvent } from '../../lib/log.ts';

/**
 * Fields of bodies, ours and Meta's, whose values are ids, codes and names: they may stand in a log. What stands in any
 * other may not: texts, numbers and names of people, users, credentials.
 */
const SAYABLE = new Set(
  [
    ['id', 'device_id', 'session_id', 'message_id', 'reply_id', 'in_reply_to', 'cursor'],
    ['agent', 'active_agent', 'hand_off', 'channel', 'role', 'status', 'type', 'lane', 'version'],
    ['object', 'field', 'event', 'phone_number_id', 'messaging_product', 'timestamp'],
  ].flat(),
);
/** Below them everything is the caller's own, whatever it is called. */
const OWN = new Set(['state', 'state_patch', 'metadata']);
/** Fields of a log whose values are as short: `billing` is an agent, 17 a reply, and both are messages in some test. */
const SHORT = new Set([...SAYABLE, 'level', 'outcome', 'error', 'code', 'what']);

/** Characters by which what is told of a text is known: a log that has but its beginning tells it. */
const HEAD = 24;
/** Characters of a head by which it is found. */
const START = 8;

/** Remembers what was sent and told, and finds it in what was logged, where none of it may be. */
export interface LeakWatch {
  /** Settings: the values of those that are secrets. */
  settings(env: Readonly<Record<string, string | undefined>>): void;
  /** What was asked for: a user and words that are searched for stand in the address. */
  url(url: string): void;
  headers(headers: Headers): void;
  /** A body, sent or answered; the text itself where it is no JSON. */
  body(content: string | Uint8Array): void;
  /** Anything that somebody wrote, and nobody else. */
  text(text: string): void;
  logged(event: LogEvent): void;
  /** What a server in a process of its own has printed, a line each. */
  printed(lines: readonly string[]): void;
  /** What of it was logged since this was asked last, with the line. */
  find(): string[];
}

/** Such a text is found wherever it stands, a shorter one or a single word only where it is all that a field has. */
const isTelling = (text: string): boolean =>
  text.length >= 20 || (text.length >= START && /[\s\d]/.test(text.trim()));

const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

export function watchForLeaks(): LeakWatch {
  const words = new Set<string>();
  const heads = new Map<string, Set<string>>();
  const lines: string[] = [];

  const note = (text: string): void => {
    if (!isTelling(text)) {
      if (text.trim() !== '') words.add(text);
      return;
    }
    const once = escaped(text.slice(0, HEAD));
    // a field of a log may itself hold JSON
    for (const head of [once, escaped(once)]) {
      const start = head.slice(0, START);
      heads.set(start, (heads.get(start) ?? new Set()).add(head));
    }
  };
  const walk = (value: unknown, name: string, own: boolean, depth = 0): void => {
    if (typeof value === 'string' && (own || !SAYABLE.has(name))) note(value);
    if (typeof value !== 'object' || value === null || depth > 100) return;
    // Meta calls the business's own number so
    const isMetas = 'messaging_product' in value;
    for (const [key, item] of Object.entries(value)) {
      if (own && !Array.isArray(value)) note(key);
      const below = own || (OWN.has(key) && !isMetas);
      walk(item, Array.isArray(value) ? name : key, below, depth + 1);
    }
  };
  return {
    settings(env) {
      for (const [name, value = ''] of Object.entries(env)) {
        if (/KEYS?$|SECRET|TOKEN$|PASSWORD|^DATABASE_URL$/.test(name))
          value.split(',').map((each) => note(each.trim()));
      }
    },
    url(url) {
      const { pathname, searchParams } = new URL(url);
      for (const name of ['q', 'user_id', 'hub.verify_token']) searchParams.getAll(name).map(note);
      const [, user] = /^\/api\/chat\/users\/([^/]+)/.exec(pathname) ?? [];
      if (user !== undefined) note(user);
    },
    headers(headers) {
      for (const name of ['authorization', 'x-hub-signature-256', 'cookie'])
        note((headers.get(name) ?? '').replace(/^\w+[ =]+/, ''));
    },
    body(content) {
      const text = typeof content === 'string' ? content : new TextDecoder().decode(content);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        return note(text);
      }
      walk(value, '', false);
    },
    text: note,
    // the second is what a body names as the business's own number, and one made at random names anybody's
    logged: ({ time: _time, phone_number_id: _id, ...event }) =>
      void lines.push(JSON.stringify(event)),
    printed: (log) => void lines.push(...log.map((line) => JSON.stringify({ line }))),
    find: () => lines.splice(0).flatMap((line) => leaksOf(line, words, heads)),
  };
}

function leaksOf(
  line: string,
  words: ReadonlySet<string>,
  heads: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const found = new Set<string>();
  for (let i = 0; i + START <= line.length; i++) {
    for (const head of heads.get(line.slice(i, i + START)) ?? [])
      if (line.startsWith(head, i)) found.add(head);
  }
  JSON.parse(line, (name, value: unknown) => {
    if (typeof value === 'string' && !SHORT.has(name) && words.has(value)) found.add(value);
    return value;
  });
  return [...found].map((text) => `${text} in ${line}`);
}
