import { type List, listOf } from '../../lib/storage/redis/views.ts';
import { parseJson } from '../../lib/json.ts';
import type { RedisAccess } from './redis.ts';
import { parseDevice, parseHolding, parseMessage, parseSession } from './redis-records.ts';
import { READ_DEVICE, READ_KEYS, READ_NAMES } from './redis-scripts.ts';
import { KEPT_KEYS, type Row, type RowOf, type Selection } from './records.ts';

/** Bytes of a device that one call brings, and the one thing with which there are more. */
const BYTES = 65_536;

interface Page {
  device?: string;
  state?: string;
  events?: List<string>;
  sessions?: List<[id: string, session: string, metadata: string]>;
  rows?: List<[id: string, row: string, content: string, metadata: string]>;
  more?: boolean;
}

interface Place {
  device: string;
  first?: boolean;
  session?: string | undefined;
  row?: string | undefined;
}

/** Everything of some devices, as much of each in one call as fits. */
export async function* readDevices(
  { runner, around }: RedisAccess,
  ids: readonly string[],
  selection: Selection,
): AsyncGenerator<Row[]> {
  const { before } = around('key');
  let places: Place[] = ids.map((device) => ({ device, first: true }));
  while (places.length > 0) {
    const inputs = places.map((place) => ({ ...place, bytes: BYTES }));
    const pages = (await runner.runAll(READ_DEVICE, inputs)) as Page[];
    yield places.flatMap(({ device }, i) => rowsIn(device, pages[i] ?? {}, selection, before));
    places = places.flatMap(({ device, session, row }, i) => {
      const page = pages[i];
      if (page?.more !== true) return [];
      return [
        {
          device,
          session: listOf(page.sessions).at(-1)?.[0] ?? session,
          row: listOf(page.rows).at(-1)?.[0] ?? row,
        },
      ];
    });
  }
}

function rowsIn(of: string, page: Page, selection: Selection, keyPrefix: string): Row[] {
  const head: Row[] = [];
  if (page.device !== undefined) head.push({ kind: 'devices', of, data: parseDevice(page.device) });
  if (page.state !== undefined) {
    const document = parseJson(page.state) as RowOf<'states'>['data']['document'];
    head.push({ kind: 'states', of, data: { document } });
  }
  return [
    ...head,
    ...listOf(page.events).map((text): Row => ({ kind: 'holdings', of, data: parseHolding(text) })),
    ...listOf(page.sessions).map(([, text, metadata]) => parseSession(of, text, metadata)),
    ...listOf(page.rows)
      .map(([, text, ...said]) => parseMessage(of, text, said, selection, keyPrefix))
      .filter(({ data }) => selection.erased || data.status !== 'erased'),
  ];
}

export async function readNames(
  { runner }: RedisAccess,
  unit: 'identity' | 'link',
  ids: readonly string[],
): Promise<Row[]> {
  const { now, known, list } = (await runner.run(READ_NAMES, { unit, ids })) as {
    now: number;
    known?: number;
    list: { device?: string; left?: number }[];
  };
  const kind = unit === 'identity' ? 'identities' : 'links';
  return ids.flatMap((of, i) => {
    const { device, left = -1 } = list[i] ?? {};
    if (device === undefined) return [];
    const seenAt = left < 0 || known === undefined ? now : now + left - known;
    return [{ kind, of, data: { device }, seenAt }];
  });
}

export async function readKeys(
  { runner }: RedisAccess,
  ids: readonly string[],
): Promise<RowOf<'keys'>[]> {
  if (ids.length === 0) return [];
  const { now, list } = (await runner.run(READ_KEYS, { ids })) as {
    now: number;
    list: { device?: string; id?: string; session?: string; left?: number }[];
  };
  return ids.flatMap((of, i) => {
    const { device, id, session, left = KEPT_KEYS } = list[i] ?? {};
    if (device === undefined || id === undefined || session === undefined) return [];
    return [{ kind: 'keys', of, data: { device, id, session }, at: now + left - KEPT_KEYS }];
  });
}
