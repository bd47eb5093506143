import type { Script } from '../../lib/storage/redis/scripts.ts';
import type { RedisAccess } from './redis.ts';
import { byUnit, printDevice, printMessage, printSession, Ways } from './redis-records.ts';
import {
  DROP,
  WRITE_DEVICE,
  WRITE_HOLDINGS,
  WRITE_KEYS,
  WRITE_MESSAGES,
  WRITE_NAMES,
  WRITE_SESSIONS,
  WRITE_STATE,
} from './redis-scripts.ts';
import { type Row, type RowOf, rowsOf, type Unit } from './records.ts';

/** Bytes of one request, and the one input with which there are more. */
const BYTES = 524_288;
/** Things of a device that one script writes: Redis does nothing else meanwhile. */
const MANY = 100;

export async function writeUnits(
  own: RedisAccess,
  unit: Unit,
  ids: readonly string[],
  pages: AsyncIterable<Row[]>,
): Promise<void> {
  await own.runner.run(DROP, { unit, ids });
  if (unit === 'device') return writeDevices(own, pages);
  for await (const rows of pages) {
    const names = [...rowsOf(rows, 'identities'), ...rowsOf(rows, 'links')];
    if (names.length > 0) {
      const list = names.map(({ of, data, seenAt }) => ({ of, seenAt, ...data }));
      await own.runner.run(WRITE_NAMES, { unit, list });
    }
    const keys = rowsOf(rows, 'keys');
    if (keys.length > 0) {
      const list = keys.map(({ of, data, at }) => ({ of, at, ...data }));
      await own.runner.run(WRITE_KEYS, { list });
    }
  }
}

/** At last the devices themselves: one is there when everything of it is. */
async function writeDevices(own: RedisAccess, pages: AsyncIterable<Row[]>): Promise<void> {
  const heads: RowOf<'devices'>[] = [];
  const holdings = new Map<string, number>();
  const ways = new Map<string, Ways>();
  for await (const rows of pages) {
    heads.push(...rowsOf(rows, 'devices'));
    const states = rowsOf(rows, 'states').map(({ of, data }) => ({
      device: of,
      state: JSON.stringify(data.document),
    }));
    await runInParts(own, WRITE_STATE, states);
    await runInParts(own, WRITE_HOLDINGS, holdingsIn(rows, holdings));
    await runInParts(own, WRITE_SESSIONS, sessionsIn(rows));
    await runInParts(own, WRITE_MESSAGES, messagesIn(rows, ways));
  }
  const inputs = heads.map(({ of, data }) => {
    const said = ways.get(of) ?? new Ways();
    return { head: printDevice(of, data), heard: said.heard(), asked: said.asked() };
  });
  await runInParts(own, WRITE_DEVICE, inputs);
}

/** @param before how many of each device are written already */
function holdingsIn(rows: Row[], before: Map<string, number>): object[] {
  return [...byUnit(rowsOf(rows, 'holdings'))].flatMap(([device, all]) =>
    partsOf(all).map((part) => {
      const first = before.get(device) ?? 0;
      before.set(device, first + part.length);
      return { device, first, holdings: part.map(({ data }) => data) };
    }),
  );
}

const sessionsIn = (rows: Row[]): object[] =>
  [...byUnit(rowsOf(rows, 'sessions')).values()].flatMap((all) =>
    partsOf(all).map((part) => ({ sessions: part.map(printSession) })),
  );

function messagesIn(rows: Row[], ways: Map<string, Ways>): object[] {
  return [...byUnit(rowsOf(rows, 'messages'))].flatMap(([device, all]) => {
    const own = ways.get(device) ?? new Ways();
    ways.set(device, own);
    for (const row of all) own.add(row);
    return partsOf(all).map((part) => ({ device, messages: part.map(printMessage) }));
  });
}

const partsOf = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / MANY) }, (_, i) =>
    all.slice(i * MANY, (i + 1) * MANY),
  );

/** Runs a script with each of the inputs, as many in one request as fit. */
async function runInParts({ runner }: RedisAccess, of: Script, inputs: object[]): Promise<void> {
  let part: object[] = [];
  let bytes = 0;
  for (const input of inputs) {
    part.push(input);
    bytes += JSON.stringify(input).length;
    if (bytes > BYTES || part.length >= MANY) {
      await runner.runAll(of, part);
      [part, bytes] = [[], 0];
    }
  }
  if (part.length > 0) await runner.runAll(of, part);
}
