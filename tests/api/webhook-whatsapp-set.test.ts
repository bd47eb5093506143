import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from '../support/api.ts';
import type { Graph } from '../support/graph.ts';
import { scripted } from './scripted.ts';
import {
  type Expectation,
  expectations,
  type ExpectedMessage,
  load,
  restartWithGraph,
  webhook,
} from './whatsapp.ts';

// Every body of the set: what is kept of it and for whom, who is answered, and that no repetition changes that.

const script = scripted();
const hook = webhook(script);
let graph: Graph;

beforeAll(async () => {
  graph = await restartWithGraph(hook);
});
beforeEach(async () => {
  await hook.forget();
  // one short reply to a turn, however long what it answers
  script.play((turn) => turn.reply('noted'));
  graph.sent.length = 0;
});
afterEach(() => hook.api.settled());
afterAll(async () => {
  await hook.close();
  await graph.close();
});

interface Kept {
  /** The number it came to and the id it had. */
  key: string;
  role: string;
  kind: string;
  content: string;
  choice: string | null;
  status: string;
  /** Replies to it. */
  replies: number;
  device: string;
}

/** What came in, in no particular order: replies are counted with what they answer. */
async function kept(): Promise<Kept[]> {
  const rows = await hook.api.sql(
    `SELECT m.account || ' ' || m.external_id AS key, m.role, m.metadata ->> 'kind' AS kind, m.content,
       m.metadata -> 'choice' ->> 'id' AS choice, m.status, m.device_id::text AS device,
       (SELECT count(*)::int FROM chat_messages r WHERE r.answers @> ARRAY[m.id]) AS replies
     FROM chat_messages m WHERE m.dedupe_key IS NOT NULL ORDER BY 1`,
  );
  return rows as unknown as Kept[];
}

/** The same for comparing: who shares a conversation with whom, whatever its device is called. */
async function state() {
  const rows = await kept();
  const locks = await hook.api.sql(
    'SELECT device_id::text AS device, active_agent FROM conversation_states',
  );
  const people = [...Map.groupBy(rows, ({ device }) => device)].map(([device, own]) => ({
    messages: own.map((row) => {
      const { device: _, ...message } = row;
      return message;
    }),
    holder: locks.find((lock) => lock['device'] === device)?.['active_agent'],
  }));
  const first = ({ messages }: (typeof people)[number]) => messages[0]?.key ?? '';
  return people.toSorted((a, b) => (first(a) < first(b) ? -1 : 1));
}

/** The replies that left: to whom, from which number. */
const sent = () =>
  graph.sent
    .filter(({ body }) => body.biz_opaque_callback_data !== undefined)
    .map(({ body, path }) => `${path.split('/')[2]} to ${body.to ?? body.recipient}`)
    .toSorted();

const keyOf = ({ phone_number_id: account, wamid }: ExpectedMessage) => `${account} ${wamid}`;

/** What must be kept: each message once, none of a group, none that may as well be left out. */
function due({ inbound }: Expectation, file: string): ExpectedMessage[] {
  const list = 'count' in inbound ? [inbound.first] : inbound;
  const unique = [...new Map(list.map((message) => [keyOf(message), message])).values()];
  return file === 'msg-group-text.json' ? [] : unique;
}

/** Where an answer goes: to the phone as the body wrote it, else to the user id. */
const answerOf = ({ phone_number_id: account, wa_id: phone, bsuid, optional }: ExpectedMessage) =>
  `${account} to ${phone ?? (optional === true ? '12025550101' : bsuid)}`;

/** What is kept beside the messages of people, by the word that stands for it in the expectations. */
const beside: Readonly<Record<string, Partial<Kept>>> = {
  echo: { role: 'assistant', status: 'recorded' },
  calls: { role: 'user', status: 'recorded', kind: 'call' },
  user_id_update: { role: 'user', status: 'recorded', kind: 'system' },
};

const files = Object.keys(expectations);

/** Sends again what could not be stored, as Meta does: five of the largest may wait long for each other. */
async function deliver(raw: Uint8Array<ArrayBuffer>): Promise<Answer> {
  const answer = await hook.post(raw);
  return answer.status === 503 ? deliver(raw) : answer;
}

async function postAll(list: readonly string[], times = 1): Promise<void> {
  for (const file of list) {
    const raw = await load(file);
    const answers = await Promise.all(Array.from({ length: times }, () => deliver(raw)));
    const { http, http_also: also } = expectations[file] ?? { http: NaN, http_also: [] };
    for (const { status } of answers) expect([http, ...also], file).toContain(status);
    await hook.api.settled();
  }
}

describe('a body of the set, once and five times at the same moment', () => {
  test.for(Object.entries(expectations))('%s', async ([file, wanted]) => {
    await postAll([file]);

    const rows = await kept();
    const messages = due(wanted, file);
    const others = wanted.events.flatMap((event) => beside[event] ?? []);
    const count = 'count' in wanted.inbound ? wanted.inbound.count : messages.length;
    expect(rows).toHaveLength(count + others.length);
    for (const message of messages) {
      const row = rows.find(({ key }) => key === keyOf(message));
      const answered = message.turn === 'agent';
      expect(row).toMatchObject({
        role: 'user',
        status: answered ? 'answered' : 'recorded',
        replies: answered ? 1 : 0,
        ...(message.text !== undefined && { content: message.text }),
        ...(message.choice !== undefined && { choice: message.choice }),
      });
      if (message.text_utf16_units !== undefined) {
        expect(row?.content).toHaveLength(message.text_utf16_units);
        expect(row?.content.startsWith(message.text_starts ?? '')).toBe(true);
      }
    }
    for (const other of others) expect(rows).toContainEqual(expect.objectContaining(other));

    const devices = new Map(rows.map(({ key, device }) => [key, device]));
    const people = Map.groupBy(
      messages,
      ({ person, phone_number_id: account }) => `${person} ${account}`,
    );
    const own = [...people.values()].map((list) => new Set(list.map((m) => devices.get(keyOf(m)))));
    for (const device of own) expect(device.size).toBe(1);
    expect(new Set(own.flatMap((device) => [...device])).size).toBe(people.size);

    // several messages of one person in one body are one turn, and have one answer
    if ('count' in wanted.inbound) expect(sent()).toHaveLength(count);
    else {
      const answers = messages.filter(({ turn }) => turn === 'agent').map(answerOf);
      expect(sent()).toEqual([...new Set(answers)].toSorted());
    }

    // five times at the same moment: the same as once
    const once = await state();
    const sentOnce = sent();
    await hook.forget();
    graph.sent.length = 0;
    await postAll([file], 5);
    expect(await state()).toEqual(once);
    expect(sent()).toEqual(sentOnce);
  });
});

describe('all bodies of the set', () => {
  /** A colleague who has answered from the app lets go again at once: the bodies after it are to be answered. */
  async function run(list: readonly string[], times = 1): Promise<void> {
    for (const file of list) {
      await postAll([file], times);
      await hook.api.sql(
        `UPDATE conversation_states SET active_agent = NULL, lock_expires_at = NULL`,
      );
    }
  }

  /** One conversation per person and number, and one answer to each message that wants one. */
  async function check(): Promise<void> {
    const rows = new Map((await kept()).map((row) => [row.key, row]));
    const byPerson = new Map<string, Set<string>>();
    for (const file of files) {
      const wanted = expectations[file];
      for (const message of wanted === undefined ? [] : due(wanted, file)) {
        const row = rows.get(keyOf(message));
        expect(row, keyOf(message)).toMatchObject({ replies: message.turn === 'agent' ? 1 : 0 });
        const person = `${message.person} ${message.phone_number_id}`;
        byPerson.set(person, (byPerson.get(person) ?? new Set()).add(String(row?.device)));
      }
    }
    for (const [person, devices] of byPerson) expect([person, devices.size]).toEqual([person, 1]);
    expect(new Set([...byPerson.values()].map(([device]) => device)).size).toBe(byPerson.size);
  }

  test('in their order, in reverse, and twice in one run: the same in the end, and no second reply', async () => {
    await run(files);
    await check();
    const once = await state();
    const sentOnce = sent();

    await run(files);
    expect(await state()).toEqual(once);
    expect(sent()).toEqual(sentOnce);

    await hook.forget();
    graph.sent.length = 0;
    await run(files.toReversed());
    await check();
    expect(await state()).toEqual(once);
    expect(sent()).toHaveLength(sentOnce.length);
  });
});
