import { parseJson } from '../../../lib/json.ts';
import { type Runner, script } from '../../../lib/storage/redis/scripts.ts';
import { type List, listOf } from '../../../lib/storage/redis/views.ts';
import type { RedisReply, RedisServer } from '../../support/redis.ts';
import type { Books, StoredDevice, StoredMessage } from '../storage.ts';

const LAPSE = script(String.raw`
for _, id in ipairs(input.devices) do
  local device = open(id)
  local grant = device and device.grant
  if grant and grant.endsAt and grant.endsAt > now then grant.endsAt = now end
end
finish()
return '{}'
`);

const COME_DUE = script(String.raw`
for _, id in ipairs(input.devices) do
  if open(id) then
    for _, row in ipairs(rows_at(id, 'unsettled')) do
      if row.status ~= 'sending' then
        row.claimEndsAt = now
        keep(row)
      end
    end
  end
end
finish()
return '{}'
`);

const SET_ASIDE = script(String.raw`
local device = ensure(input.device)
write_row({
  device = device.id,
  session = input.session,
  role = 'user',
  channel = 'web',
  account = device.id,
  lane = 'builtin',
  address = {},
  status = 'failed',
  attempts = 5,
  error = 'Error',
  claimEndsAt = 0,
  sentAt = now,
  createdAt = now,
}, 'hello', '{}')
finish()
return '{}'
`);

interface Row {
  id: number;
  device: string;
  role: string;
  status: string;
  lane: string;
  seq?: number;
  attempts: number;
  externalId?: string;
  fence?: string;
  answers?: List<string>;
}

interface Device {
  lastSeq: number;
  grant?: { endsAt?: number };
  /** Slides with every look at the device. */
  keepUntil: number;
}

/** @param prefix what the keys of this database begin with */
export function redisBooks(redis: RedisServer, { run }: Runner, prefix: string): Books {
  const at = (device: string, name: string) => `${prefix}{${device}}:${name}`;
  const get = async (key: string) => textOf(await redis.send(['GET', key]));
  const hash = async (key: string) => fieldsOf(await redis.send(['HGETALL', key]));
  const keys = async (pattern: string) => textsOf(await redis.send(['KEYS', prefix + pattern]));
  const all = async () =>
    (await keys('{*}:device')).map((key) => key.slice(prefix.length + 1, -'}:device'.length));

  const messagesOf = async (device: string): Promise<StoredMessage[]> => {
    const [rows, texts] = await Promise.all([hash(at(device, 'rows')), hash(at(device, 'texts'))]);
    return [...rows.values()].map((text) => {
      const row = parseJson(text) as Row;
      return viewRow(row, texts.get(String(row.id)) ?? '');
    });
  };
  const readDevice = async (device: string): Promise<StoredDevice[]> => {
    const [text, state] = await Promise.all([get(at(device, 'device')), get(at(device, 'state'))]);
    return text === null ? [] : [viewDevice(device, text, state)];
  };
  return {
    async messages({ devices, messageIds, statuses } = {}) {
      const found = await Promise.all((devices ?? (await all())).map(messagesOf));
      return found
        .flat()
        .filter(
          ({ messageId, status }) =>
            (messageIds?.includes(messageId ?? '') ?? true) && (statuses?.includes(status) ?? true),
        )
        .toSorted((a, b) => placeOf(a) - placeOf(b) || Number(a.id) - Number(b.id));
    },
    devices: async ({ devices } = {}) =>
      (await Promise.all((devices ?? (await all())).map(readDevice))).flat(),
    async belongingsOf(device) {
      const [sessions, metadata] = await Promise.all([
        hash(at(device, 'sessions')),
        hash(at(device, 'session-metadata')),
      ]);
      const codes = await Promise.all((await keys('code:*')).map(get));
      return {
        sessions: [...sessions].map(([id, text]) => ({
          id,
          complete: (parseJson(text) as { complete: boolean }).complete,
          metadata: parseJson(metadata.get(id) ?? '{}'),
        })),
        lockEvents: Number(await redis.send(['LLEN', at(device, 'events')])),
        linkCodes: codes.filter((code) => code?.includes(device) === true).length,
        isLinked: (await get(`${prefix}link:${device}`)) !== null,
      };
    },
    lapse: async (devices) => void (await run(LAPSE, { devices })),
    comeDue: async (devices) => void (await run(COME_DUE, { devices })),
    setAside: async (device, session) => void (await run(SET_ASIDE, { device, session })),
  };
}

const placeOf = ({ seq }: StoredMessage) => seq ?? Infinity;

const viewRow = (row: Row, content: string): StoredMessage => ({
  id: String(row.id),
  device: row.device,
  role: row.role,
  content,
  status: row.status,
  lane: row.lane,
  seq: row.seq ?? null,
  attempts: row.attempts,
  messageId: row.externalId ?? null,
  fence: row.fence ?? null,
  answers: listOf(row.answers),
});

function viewDevice(device: string, text: string, stateText: string | null): StoredDevice {
  const { keepUntil: _, ...kept } = parseJson(text) as Device;
  const state = stateText === null ? null : parseJson(stateText);
  return {
    device,
    lastSeq: kept.lastSeq,
    isHeld: kept.grant?.endsAt !== undefined,
    state,
    picture: inOrder({ ...kept, state }),
  };
}

/** As JSON, equal for equal values: Lua keeps no order of keys. */
const inOrder = (value: object): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item !== 'object' || item === null || Array.isArray(item)
      ? item
      : Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );

const textOf = (reply: RedisReply): string | null => (typeof reply === 'string' ? reply : null);
const textsOf = (reply: RedisReply): string[] =>
  Array.isArray(reply) ? reply.filter((one) => typeof one === 'string') : [];

/** Names and values, which Redis tells one behind the other. */
function fieldsOf(reply: RedisReply): Map<string, string> {
  const words = textsOf(reply);
  const pairs = words.flatMap((name, i): [string, string][] =>
    i % 2 === 0 ? [[name, words[i + 1] ?? '']] : [],
  );
  return new Map(pairs);
}
