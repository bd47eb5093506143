import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Graph } from '../support/graph.ts';
import { bodyOf } from '../support/whatsapp.ts';
import { scripted } from './scripted.ts';
import {
  type Expectation,
  expectations,
  load,
  NUMBERS,
  restartWithGraph,
  webhook,
} from './whatsapp.ts';

// Every body of the set that tells of a reply: what becomes of that reply.

/** Where a reply ends that Meta took, by all that a body tells of it, in its order. */
const ENDS: Readonly<Record<string, string>> = {
  sent: 'sent',
  delivered: 'delivered',
  read: 'read',
  'read, sent, delivered': 'read',
  played: 'read', // a voice note
  failed: 'failed',
  'failed, sent': 'failed',
  warning: 'sent', // a word that Meta does not document
};

/** What is kept with a reply that failed, by the code that Meta gives; where time mends it, it is sent again after a wait. */
const FAILURES: Readonly<Record<string, { status?: string; error: string }>> = {
  'status-failed-131026-undeliverable.json': { error: 'graph_131026' },
  'status-failed-131047-window.json': { error: 'outside_window' },
  'status-failed-131049-ecosystem.json': { error: 'graph_131049' },
  'status-failed-131056-pair-rate.json': { status: 'pending', error: 'graph_131056' },
  'status-failed-without-any-recipient.json': { status: 'pending', error: 'graph_131000' },
  'status-late-sent-after-failed.json': { error: 'graph_131026' },
};

const script = scripted();
const hook = webhook(script);
let graph: Graph;

beforeAll(async () => {
  graph = await restartWithGraph(hook);
});
beforeEach(async () => {
  await hook.forget();
  script.play((turn) => turn.reply('noted'));
});
afterEach(() => hook.api.settled());
afterAll(async () => {
  await hook.close();
  await graph.close();
});

const body = z.object({
  entry: z.array(
    z.object({
      changes: z.array(
        z.object({
          value: z.object({
            metadata: z.object({ phone_number_id: z.string() }).optional(),
            statuses: z.array(z.object({ id: z.string() })).default([]),
          }),
        }),
      ),
    }),
  ),
});

/** The number of ours that a body tells of a reply for. */
function accountOf(raw: Uint8Array, wamid: string): string {
  const { entry } = body.parse(JSON.parse(new TextDecoder().decode(raw)));
  const values = entry.flatMap(({ changes }) => changes.map(({ value }) => value));
  const told = values.find(({ statuses }) => statuses.some(({ id }) => id === wamid));
  return told?.metadata?.phone_number_id ?? 'none';
}

/** Somebody writes to a number, and Meta takes the answer under this id. */
async function replied(account: string, wamid: string): Promise<void> {
  graph.answerNext({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: { messaging_product: 'whatsapp', messages: [{ id: wamid }] },
  });
  const raw = new TextEncoder().encode(bodyOf([{ from: '12025550999', body: 'hi' }], account));
  expect((await hook.post(raw)).status).toBe(200);
  await hook.api.settled();
}

/** What is kept of the replies that Meta took under this id. */
const repliesOf = (wamid: string) =>
  hook.api.sql(
    `SELECT account, status, error FROM chat_messages WHERE role = 'assistant' AND external_id = $1 ORDER BY account`,
    [wamid],
  );

const listOf = ({ statuses }: Expectation) => ('count' in statuses ? [statuses.first] : statuses);
const telling = Object.entries(expectations).filter(([, wanted]) => listOf(wanted).length > 0);

describe('a reply that Meta took, and that a body of the set tells of', () => {
  test('nothing of the set is left out', () => {
    expect(telling).toHaveLength(14);
    const failing = telling.filter(([, wanted]) =>
      listOf(wanted).some(([, to]) => to === 'failed'),
    );
    expect(failing.map(([file]) => file).toSorted()).toEqual(Object.keys(FAILURES));
  });

  test.for(telling)('%s', async ([file, wanted]) => {
    const list = listOf(wanted);
    const [[wamid] = ['']] = list;
    expect(new Set(list.map(([id]) => id)).size).toBe(1);
    const raw = await load(file);
    const account = accountOf(raw, wamid);
    await replied(account, wamid);
    const other = NUMBERS.split(',').find((number) => number !== account) ?? '';
    await replied(other, wamid);
    const taken = { status: 'sent', error: null };
    expect(await repliesOf(wamid)).toMatchObject([taken, taken]);

    expect((await hook.post(raw)).status).toBe(200);
    await hook.api.settled();

    const told = { account, status: ENDS[list.map(([, to]) => to).join(', ')], error: null };
    const kept = await repliesOf(wamid);
    expect(kept).toHaveLength(2);
    expect(kept).toContainEqual({ ...told, ...FAILURES[file] });
    expect(kept).toContainEqual({ account: other, ...taken });
  });
});
