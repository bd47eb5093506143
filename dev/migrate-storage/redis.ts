import { parseJson } from '../../lib/json.ts';
import { createRunner, type Runner, type Settings } from '../../lib/storage/redis/scripts.ts';
import { openUpstash, type Send } from '../../lib/storage/redis/upstash.ts';
import { StartupError } from '../startup-error.ts';
import type { Kept, Mark, Records, Selection, Side, Unit } from './records.ts';
import { readDevices, readKeys, readNames } from './redis-read.ts';
import { COUNTERS, DROP, KEEPS, MARK, PATTERNS, PRESENT, RAISE } from './redis-scripts.ts';
import { writeUnits } from './redis-write.ts';

/** Keys that a SCAN looks at in one call, and units that are given at once. */
const LOOKED_AT = 5_000;
const UNITS = 100;

type Patterns = Record<Unit | 'any' | 'mark', string>;

/** What the parts of a Redis side have in common. */
export interface RedisAccess {
  runner: Runner;
  send: Send;
  /** What a pattern of a key's name has before its star, and after it. */
  around(unit: Unit): { before: string; after: string };
}

export type RedisSide = Side & {
  keeps(): Promise<Kept>;
};

/** What Redis keeps under a prefix, and where it is put. */
export async function openRedisSide(
  access: { url: string; token: string },
  settings: Settings,
): Promise<RedisSide> {
  const send = openUpstash(access);
  const runner = createRunner(send, settings);
  const { prefix } = settings;
  const patternsOf = async (of: string) => (await runner.run(PATTERNS, { prefix: of })) as Patterns;
  const names = await patternsOf(prefix);
  const patterns = await patternsOf(prefix.replaceAll(/[\\*?[\]]/g, '\\$&'));
  const around = (unit: Unit) => {
    const name = names[unit];
    const star = name.indexOf('*', prefix.length);
    return { before: name.slice(0, star), after: name.slice(star + 1) };
  };
  const own: RedisAccess = { runner, send, around };
  const mark = async (): Promise<Mark | null> => {
    const [answer] = await send([['GET', names.mark]], true);
    const found = answer !== undefined && 'result' in answer ? answer.result : null;
    return typeof found === 'string' ? markOf(parseJson(found)) : null;
  };
  return {
    name: 'redis',
    identity: `redis ${new URL(access.url).host} ${prefix}`,
    select: (selection) => recordsOf(own, patterns, selection),
    async isEmpty() {
      for (const pattern of [patterns.any, patterns.identity, patterns.link, patterns.key]) {
        for await (const keys of scan(send, pattern)) if (keys.length > 0) return false;
      }
      return true;
    },
    mark,
    begin: async (id) => markOf(await runner.run(MARK, { id })),
    complete: async (id) => void (await runner.run(MARK, { id, completed: true })),
    async counters() {
      const { fence, id } = (await runner.run(COUNTERS, {})) as { fence: string; id: string };
      return { fence: BigInt(fence), id: BigInt(id) };
    },
    async raise({ fence, id }) {
      await runner.run(RAISE, { fence: String(fence), id: String(id) });
    },
    keeps: async () => (await runner.run(KEEPS, {})) as Kept,
    leftBehind: () => Promise.resolve(['link codes, which are good for ten minutes']),
  };
}

const markOf = (told: unknown): Mark => {
  const { id, startedAt, completedAt } = told as {
    id: string;
    startedAt: number;
    completedAt?: number;
  };
  return {
    id,
    startedAt: new Date(startedAt),
    completedAt: completedAt === undefined ? null : new Date(completedAt),
  };
};

function recordsOf(own: RedisAccess, patterns: Patterns, selection: Selection): Records {
  const { runner, send, around } = own;
  return {
    async *ids(unit) {
      const { before, after } = around(unit);
      // one call finds a few of them among all keys
      let found: string[] = [];
      for await (const keys of scan(send, patterns[unit])) {
        const fitting = unit === 'key' ? await outlived(send, keys) : keys;
        found.push(...fitting.map((key) => key.slice(before.length, key.length - after.length)));
        for (; found.length >= UNITS; found = found.slice(UNITS)) {
          yield namesOf(unit, found.slice(0, UNITS));
        }
      }
      if (found.length > 0) yield namesOf(unit, found);
    },
    async present(unit, ids) {
      if (unit === 'key') {
        const rows = await readKeys(own, ids);
        return new Set(rows.map(({ of }) => of));
      }
      const there = (await runner.run(PRESENT, { unit, ids })) as boolean[];
      return new Set(ids.filter((_, i) => there[i]));
    },
    async *read(unit, ids) {
      if (ids.length === 0) return;
      if (unit === 'device') yield* readDevices(own, ids, selection);
      else if (unit === 'key') yield await readKeys(own, ids);
      else yield await readNames(own, unit, ids);
    },
    write: (unit, ids, rows) => writeUnits(own, unit, ids, rows),
    async drop(unit, ids) {
      await runner.run(DROP, { unit, ids });
    },
  };
}

/** Names are printed in more than one way: in each storage's own. */
function namesOf(unit: Unit, texts: string[]): string[] {
  const isPlain = unit === 'device' || unit === 'link';
  return [...new Set(isPlain ? texts : texts.map((text) => JSON.stringify(parseJson(text))))];
}

/** Each part of the keyspace that a call brings. A key may come twice. */
async function* scan(send: Send, pattern: string): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [answer] = await send([['SCAN', cursor, 'MATCH', pattern, 'COUNT', LOOKED_AT]], true);
    if (answer === undefined || 'error' in answer) {
      throw new StartupError('Redis would not list its keys. Run it again.');
    }
    const [next, keys] = answer.result as [string | number, string[]];
    if (keys.length > 0) yield keys;
    cursor = String(next);
  } while (cursor !== '0');
}

/** Of the keys of messages those whose message has gone: they tell what became of it. */
async function outlived(send: Send, keys: string[]): Promise<string[]> {
  const [answer] = await send([['MGET', ...keys]], true);
  if (answer === undefined || 'error' in answer) {
    throw new StartupError('Redis would not read its keys. Run it again.');
  }
  const values = answer.result as (string | null)[];
  return keys.filter((_, i) => {
    const value = values[i] ?? null;
    return value !== null && (parseJson(value) as { status?: string }).status !== undefined;
  });
}
