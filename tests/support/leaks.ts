import type { LogEvent } from '../../lib/log.ts';

/** Fields in which people write, or their numbers and credentials stand, in bodies of ours and of Meta's. */
const WRITTEN = new Set(
  [
    ['content', 'message', 'text', 'body', 'caption', 'description', 'title', 'snippet'],
    ['from', 'wa_id', 'recipient_id', 'phone', 'phones', 'name', 'formatted_name', 'email'],
    ['user_token', 'assistant_response', 'user_message'],
  ].flat(),
);
/** Below them everything is the caller's own. */
const OWN = new Set(['state', 'state_patch', 'metadata']);

/** More would only be slow: what a test sends by the thousand is of one kind. */
const MOST = 2_000;
const LONGEST = 100_000;

/** Remembers what was sent and told, and finds it in a log, where none of it may be. */
export interface LeakWatch {
  /** Settings: the values of those that are secrets. */
  settings(env: Readonly<Record<string, string>>): void;
  headers(headers: Headers): void;
  /** A JSON body, sent or answered. Anything else is passed over. */
  body(text: string): void;
  /** What of it stands in the log, with the event. */
  find(events: readonly LogEvent[]): string[];
}

/** Not every word is telling: `billing` is an agent, and a reply's text in some test. */
const isTelling = (text: string): boolean =>
  text.length >= 20 || (text.length >= 8 && /[\s\d]/.test(text.trim()));

export function watchForLeaks(): LeakWatch {
  const noted = new Set<string>();
  const note = (text: string): void => {
    if (noted.size < MOST && isTelling(text)) noted.add(text);
  };
  const walk = (value: unknown, name: string, own: boolean, depth = 0): void => {
    if (typeof value === 'string' && (own || WRITTEN.has(name))) note(value);
    if (typeof value !== 'object' || value === null || depth > 100) return;
    for (const [key, item] of Object.entries(value)) {
      walk(item, Array.isArray(value) ? name : key, own || OWN.has(key), depth + 1);
    }
  };
  return {
    settings(env) {
      for (const [name, value] of Object.entries(env)) {
        if (/KEYS?$|SECRET|TOKEN$|PASSWORD/.test(name))
          value.split(',').map((each) => note(each.trim()));
      }
    },
    headers(headers) {
      note(/^\w+ +(\S+)$/.exec(headers.get('authorization') ?? '')?.[1] ?? '');
    },
    body(text) {
      if (text.length > LONGEST || noted.size >= MOST) return;
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        return;
      }
      walk(value, '', false);
      // a turn's token is a number, a device's is a JWT
      const token = (value as { token?: unknown } | null)?.token;
      if (typeof token === 'string' && token.includes('.')) note(token);
    },
    find(events) {
      const lines = events.map((event) => JSON.stringify(event));
      const all = lines.join('\n');
      return [...noted].flatMap((text) => {
        const inside = JSON.stringify(text).slice(1, -1);
        return all.includes(inside)
          ? [`${text} in ${lines.find((line) => line.includes(inside))}`]
          : [];
      });
    },
  };
}
