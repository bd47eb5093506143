import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJson,
  storableText,
} from '../../lib/json.ts';
import { whatsAppMetadata } from '../../lib/channels/whatsapp/metadata.ts';
import { phoneKey } from '../../lib/channels/whatsapp/phone.ts';
import { mutated, mutations } from '../support/mutations.ts';
import { scripted } from './scripted.ts';
import { expectations, load, NUMBERS, webhook } from './whatsapp.ts';

// Bodies of the set with something wrong in them: fields dropped, types swapped, values doubled, nested, cut, moved.

/** Over HTTP each statement takes several times as long, and the parser is the same. */
const RUNS = process.env['TEST_DRIVER'] === 'neon-http' ? 1_000 : 10_000;
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Bodies on their way at a time, each about people of its own, so that each can be told who its sender is. */
const AT_ONCE = 40;
/** Milliseconds for one body, with all the others of its time. */
const BOUND = 10_000;

const script = scripted();
const hook = webhook(script);

beforeAll(async () => {
  await hook.restart({ WHATSAPP_PHONE_NUMBER_IDS: NUMBERS, HUMAN_TTL: '1' });
  script.play((turn) => turn.reply('noted'));
});
afterAll(() => hook.close());

/** All but the few that are large: what is in them is in the others. */
const files = Object.keys(expectations).filter(
  (file) => file.endsWith('.json') && !/1000|65536|512kb|5000|top-level/.test(file),
);

interface Case {
  file: string;
  /** With nothing wrong in it yet. */
  whole: Uint8Array;
  text: string;
  body: JsonValue | undefined;
}

function parse(text: string): JsonValue | undefined {
  try {
    return parseJson(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/** Each with messages of its own, and people of the place it has among those that are on their way. */
async function cases(): Promise<Case[]> {
  const raw = new Map<string, string>();
  for (const file of files) raw.set(file, new TextDecoder().decode(await load(file)));
  const arbitrary = fc.record({ file: fc.constantFrom(...files), list: mutations });
  return fc.sample(arbitrary, { numRuns: RUNS, seed: SEED }).map(({ file, list }, index) => {
    const place = String(100 + (index % AT_ONCE));
    const own = (raw.get(file) ?? '')
      .replaceAll('wamid.', `wamid.${index}.`)
      .replaceAll('wacid.', `wacid.${index}.`)
      .replaceAll('1202555', `1202${place}`)
      .replaceAll('4477009', `4477${place}`)
      .replaceAll('52555555', `52555${place}`)
      .replaceAll('.1000000', `.1${place}00`);
    const text = mutated(parseJson(own) as JsonObject, list);
    return { file, whole: new TextEncoder().encode(own), text, body: parse(text) };
  });
}

const objects = (value: JsonValue | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];
const string = (value: JsonValue | undefined): string | null =>
  typeof value === 'string' && storableText(value) !== '' ? storableText(value) : null;

const nested = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {});

/** An element of a body, and who it is from, or to: what names them first, if anything does. */
interface Claim {
  key: string;
  element: JsonObject;
  /** As in `identities`; of several any. */
  names: string[];
}

const userId = (account: string | null, value: JsonValue | undefined): string[] => {
  const id = typeof value === 'string' && value.length <= 256 ? string(value) : null;
  return id === null ? [] : [`user_id ${account} ${id}`];
};
const phone = (account: string | null, value: JsonValue | undefined): string[] => {
  const key = phoneKey(string(value) ?? '');
  return key === null ? [] : [`phone ${account} ${key}`];
};

/** In the words of the documentation, and on its own: nothing here is taken from the parser under test. */
function claimOf(list: string, element: JsonObject, value: JsonObject): Claim {
  const account = string(nested(value['metadata'])['phone_number_id']);
  const system = element['type'] === 'system' ? nested(element['system']) : {};
  const ids = list === 'user_id_update' ? nested(element['user_id']) : {};
  const to = list === 'message_echoes' ? 'to' : 'from';
  const said = [
    [...userId(account, system['previous_user_id']), ...userId(account, ids['previous'])],
    userId(account, element[`${to}_user_id`]),
    phone(account, element[to] ?? system['customer']),
    objects(value['contacts']).flatMap((contact) => [
      ...userId(account, contact['user_id']),
      ...phone(account, contact['wa_id']),
    ]),
  ];
  const id =
    list === 'user_id_update'
      ? `user_id_update:${string(ids['previous'])}:${string(ids['current'])}`
      : string(element['id']);
  return {
    key: `${account} ${id}`,
    element,
    names: said.find((names) => names.length > 0) ?? [],
  };
}

function claimsOf({ body }: Case): Claim[] {
  return objects(nested(body)['entry'])
    .flatMap((entry) => objects(entry['changes']))
    .map(({ value }) => nested(value))
    .flatMap((value) =>
      ['messages', 'message_echoes', 'calls', 'user_id_update'].flatMap((list) =>
        objects(value[list]).map((element) => claimOf(list, element, value)),
      ),
    );
}

/** To which device each identity leads. */
async function identities(): Promise<Map<string, string>> {
  const rows = await hook.api.sql(
    `SELECT kind || ' ' || account || ' ' || value AS name, device_id::text AS device FROM channel_identities`,
  );
  return new Map(rows.map(({ name, device }) => [String(name), String(device)]));
}

describe(`${RUNS} bodies with something wrong in them`, () => {
  test('never a 5xx, never a row of somebody else, each in bounded time', async () => {
    console.log(`seed ${SEED}: run with SEED=${SEED} to have the same bodies again`);
    const all = await cases();
    const statuses = new Map<number, number>();
    let slowest = 0;
    let kept = 0;
    let last = '0';
    let before = await identities();
    const started = performance.now();

    for (let from = 0; from < all.length; from += AT_ONCE) {
      const batch = all.slice(from, from + AT_ONCE);
      await Promise.all(
        batch.map(async ({ file, whole, text, body }) => {
          const begun = performance.now();
          const { status } = await hook.post(new TextEncoder().encode(text), whole);
          slowest = Math.max(slowest, performance.now() - begun);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          expect(status, `${file}: ${text.slice(0, 2_000)}`).toBe(isJsonObject(body) ? 200 : 400);
        }),
      );
      await hook.api.settled();

      const rows = await hook.api.sql(
        `SELECT m.id::text, m.account || ' ' || m.external_id AS key, m.account, m.device_id::text AS device, m.content,
           m.metadata
         FROM chat_messages m WHERE m.dedupe_key IS NOT NULL AND m.id > $1 ORDER BY m.id`,
        [last],
      );
      last = rows.length === 0 ? last : String(rows.at(-1)?.['id']);
      kept += rows.length;
      const after = await identities();
      const claims = Map.groupBy(batch.flatMap(claimsOf), ({ key }) => key);
      for (const row of rows) {
        const own = claims.get(String(row['key'])) ?? [];
        expect(own, `nobody sent ${JSON.stringify(row)}`).not.toEqual([]);
        const isTheirs = own.some(({ names }) =>
          names
            .flatMap((name) => [before.get(name), after.get(name)])
            .includes(String(row['device'])),
        );
        expect(isTheirs, `a row of somebody else: ${JSON.stringify([row, own])}`).toBe(true);
        const metadata = row['metadata'] as JsonObject;
        expect(whatsAppMetadata({ metadata }), JSON.stringify(metadata)).toEqual(metadata);
        if (metadata['kind'] === 'text') {
          const texts = own.map(({ element }) => {
            const { body } = nested(element['text']);
            return typeof body === 'string' ? storableText(body) : null;
          });
          expect(texts).toContain(row['content']);
        }
      }
      before = after;
    }

    const seconds = (performance.now() - started) / 1_000;
    const counts = [...statuses].map(([status, count]) => `${count} answered ${status}`).join(', ');
    console.log(
      `${counts}; ${kept} messages kept; ${seconds.toFixed(1)} s, the slowest ${Math.round(slowest)} ms`,
    );
    expect(kept).toBeGreaterThan(RUNS / 10);
    expect(slowest).toBeLessThan(BOUND);
    const stuck = await hook.api.sql(
      `SELECT status, count(*)::int FROM chat_messages WHERE status IN ('waiting', 'failed', 'sending') GROUP BY 1`,
    );
    expect(stuck).toEqual([]);
    const names = new Set(hook.api.events.map(({ event }) => event));
    expect(
      [...names].filter((name) => /broke_off|work_failed|unexpected|refused/.test(name)),
    ).toEqual([]);
  });
});
