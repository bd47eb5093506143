import { createHash } from 'node:crypto';
import { showProgress } from '../progress.ts';
import { StartupError } from '../startup-error.ts';
import { tableLines } from '../table.ts';
import { compare, type Comparison, copy, countDevices, countRows } from './move.ts';
import type { PostgresSide } from './postgres.ts';
import { type Kept, KEPT_KEYS, kinds, type Selection, type Side } from './records.ts';
import type { RedisSide } from './redis.ts';

interface Sides {
  postgres: PostgresSide;
  redis: RedisSide;
}

interface Options {
  /** Count, and write nothing. */
  isDry: boolean;
  /** What the target does not keep may stay behind. */
  mayTrim: boolean;
}

/**
 * Moves everything from one storage to the other, compares both, and says so.
 *
 * @throws {StartupError} where the target is not empty, cannot keep everything, or is not the same at the end
 */
export async function moveAll(
  { postgres, redis }: Sides,
  toRedis: boolean,
  { isDry, mayTrim }: Options,
): Promise<void> {
  const [from, to]: [Side, Side] = toRedis ? [postgres, redis] : [redis, postgres];
  const id = idOf(from.identity);
  const found = await to.mark();
  const own = found?.id === id ? found : null;
  if (own?.completedAt != null) {
    console.log(
      `Everything was moved at ${own.completedAt.toISOString()}, and nothing was changed now.`,
    );
    return;
  }
  if (own === null) await assertEmpty(to, found?.completedAt === null);
  const kept = toRedis ? await redis.keeps() : null;
  if (kept !== null) await assertFits(postgres, kept, mayTrim, isDry);
  for (const what of await from.leftBehind()) console.log(`Not moved: ${what}.`);
  const select = (startedAt: Date): Selection => ({
    keyedSince: startedAt.getTime() - KEPT_KEYS,
    kept,
    erased: !toRedis,
  });
  if (isDry) {
    const counts = await countRows(from.select(select(own?.startedAt ?? new Date())));
    const rows = kinds.map((kind) => [kind, counts.get(kind) ?? 0]);
    console.log(tableLines(['to be moved', 'rows'], rows).join('\n'));
    return;
  }

  const started = performance.now();
  const selection = select((own ?? (await to.begin(id))).startedAt);
  const pair = { from: from.select(selection), to: to.select(selection) };
  const total = await countDevices(pair.from);
  await to.raise(await from.counters());
  const copying = showProgress(total, 'devices moved');
  await copy(pair, own !== null, copying.add);
  copying.end();
  const moved = performance.now();

  const comparing = showProgress(total, 'devices compared');
  const inPostgres = toRedis ? pair.from : pair.to;
  const comparison = await compare(
    inPostgres,
    toRedis ? pair.to : pair.from,
    async (unit, ids) => (toRedis && unit !== 'key' ? new Set() : await postgres.lapsed(unit, ids)),
    comparing.add,
  );
  comparing.end();
  await to.raise(await from.counters());
  report(comparison);
  await to.complete(id);
  console.log(
    `The same on both sides. Moved in ${seconds(moved - started)}, compared in ${seconds(performance.now() - moved)}.`,
  );
  console.log(`Next: set STORAGE to ${to.name}, and let traffic in. The source is as it was.`);
}

/** A move is known by its source; the mark of it stands on the target. */
function idOf(identity: string): string {
  const hex = createHash('sha256').update(identity).digest('hex');
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5');
}

async function assertEmpty(to: Side, isBegun: boolean): Promise<void> {
  if (isBegun) {
    throw new StartupError(
      `Another move into this ${titleOf(to)}, or a restore, was broken off: finish that one, or take an empty one.`,
    );
  }
  if (!(await to.isEmpty())) {
    throw new StartupError(
      to.name === 'redis'
        ? 'Redis holds something under this prefix: set REDIS_KEY_PREFIX to another, or take an empty one.'
        : 'The database is not empty: move into one that was just made and migrated.',
    );
  }
}

const titleOf = ({ name }: Side) => (name === 'redis' ? 'Redis' : 'database');

/** What Redis would not keep is said before anything is written. */
async function assertFits(
  postgres: PostgresSide,
  kept: Kept,
  mayTrim: boolean,
  isDry: boolean,
): Promise<void> {
  const over = await postgres.over(kept);
  if (over.sessions === 0 && over.devices === 0) return;
  const said = [
    over.sessions > 0 &&
      `${over.sessions} sessions have more than Redis keeps of each, the last ${kept.messages} messages and ${kept.bytes} bytes: ${over.messages} messages are too many.`,
    over.devices > 0 &&
      `${over.devices} devices were held more than the ${kept.holdings} times that Redis keeps of each.`,
  ].filter((line) => line !== false);
  if (mayTrim || isDry) return said.forEach((line) => console.log(line));
  throw new StartupError(
    [
      ...said,
      'Raise SESSION_MAX_MESSAGES_KEPT where it is for their number, or leave the oldest behind with --trim.',
    ].join('\n'),
  );
}

/** @throws {StartupError} that says what differs */
function report({ lines, examples, isSame }: Comparison): void {
  if (isSame) {
    const rows = lines.map(({ kind, count, checksum }) => [kind, count, checksum]);
    console.log(tableLines(['moved', 'rows', 'checksum'], rows).join('\n'));
    return;
  }
  const differing = lines.filter((line) => !line.isSame);
  throw new StartupError(
    [
      'The two sides are not the same:',
      ...differing.map(
        ({ kind, count, otherCount }) =>
          `  ${kind}: ${count} in PostgreSQL, ${otherCount} in Redis${count === otherCount ? ', with other content' : ''}`,
      ),
      ...(examples.length > 0 ? [`  such as ${examples.join('; ')}`] : []),
      'Something was written meanwhile: stop the deployment and its cron, and run this again. It moves what has changed.',
    ].join('\n'),
  );
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
