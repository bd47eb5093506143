import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Storage } from '../../lib/storage/storage.ts';
import type { Graph } from '../support/graph.ts';
import { scripted } from './scripted.ts';
import { load, restartWithGraph, webhook } from './whatsapp.ts';

// The most that Meta sends at once: 500 texts of 500 people, and 500 statuses.

const FILE = 'batch-1000-updates.json';
const script = scripted();
const hook = webhook(script);
let graph: Graph;

beforeAll(async () => {
  // as deployed: the instance also picks up what others let fall
  graph = await restartWithGraph(hook, { sweeps: true });
});
afterAll(async () => {
  await hook.close();
  await graph.close();
});

/** The same storage, each call of which is written down. */
function counted(storage: Storage, calls: string[]): Storage {
  return new Proxy(storage, {
    get(target, name: keyof Storage) {
      calls.push(name);
      return target[name];
    },
  });
}

/** The highest resident set while something runs, above what it was before; MB. */
async function peakOf(run: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  await run();
  clearInterval(timer);
  return Math.round((Math.max(peak, process.memoryUsage().rss) - before) / 1_048_576);
}

describe('a body of 1,000 updates', () => {
  test('is stored by one statement, and one for the statuses; all are answered, a few at a time', async () => {
    const calls: string[] = [];
    hook.api.app.storage = counted(hook.api.app.storage, calls);
    let most = 0;
    script.play(async (turn) => {
      turn.reply('noted');
      const [row] = await hook.api.sql(
        'SELECT count(*)::int AS open FROM conversation_states WHERE turn_expires_at > clock_timestamp()',
      );
      most = Math.max(most, Number(row?.['open']));
    });
    const raw = await load(FILE);
    const stored: string[] = [];
    const times = { answer: 0, all: 0 };

    const peak = await peakOf(async () => {
      const started = performance.now();
      const answer = await hook.post(raw);
      times.answer = performance.now() - started;
      stored.push(...calls.filter((name) => name === 'accept' || name === 'noteStatuses'));
      expect([answer.status, answer.json]).toEqual([200, { received: 500 }]);
      await hook.api.settled();
      times.all = performance.now() - started;
    });
    console.log(
      `1,000 updates: stored and 200 after ${Math.round(times.answer)} ms, 500 answers sent after ` +
        `${Math.round(times.all)} ms, memory up by ${peak} MB at most, ${most} turns open at most`,
    );

    expect(stored).toEqual(['accept', 'noteStatuses']);
    const rows = await hook.api.sql(
      `SELECT m.status, (SELECT count(*)::int FROM chat_messages r WHERE r.answers @> ARRAY[m.id]) AS replies,
         count(*)::int AS messages
       FROM chat_messages m WHERE m.role = 'user' GROUP BY 1, 2`,
    );
    expect(rows).toEqual([{ status: 'answered', replies: 1, messages: 500 }]);
    const to = graph.sent
      .filter(({ body }) => body.biz_opaque_callback_data !== undefined)
      .map(({ body }) => body.to);
    expect([to.length, new Set(to).size]).toEqual([500, 500]);
    // four of the call itself, and four of those it leaves waiting
    expect(most).toBeLessThanOrEqual(8);
  });

  test('sent again, as Meta does after a 200 that was lost, changes nothing', async () => {
    const before = await hook.api.stored();
    const sent = graph.sent.length;

    expect((await hook.post(await load(FILE))).status).toBe(200);
    await hook.api.settled();

    const after = await hook.api.stored();
    expect(after['chat_messages']).toBe(before['chat_messages']);
    expect(graph.sent).toHaveLength(sent);
  });
});
