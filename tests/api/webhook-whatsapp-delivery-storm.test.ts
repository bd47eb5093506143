import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { recover } from '../../lib/sweep.ts';
import type { GraphAnswer } from '../support/graph.ts';
import { openLine, recorded, statusOf } from './delivery.ts';

const PEOPLE = 12;
const words = ['one', 'two', 'three', 'four'];

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function drawer(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

it('whatever Meta answers, every reply is taken once and in its order', async () => {
  const seed = randomInt(2 ** 31);
  const draw = drawer(seed);
  const line = await openLine({ MAX_ATTEMPTS: '100' });
  const refusals: GraphAnswer[] = await Promise.all(
    [
      'err-131016-unavailable',
      'err-130429-throughput',
      'err-131056-pair-rate',
      'err-4-app-rate',
    ].map(recorded),
  );
  /** What Meta has taken, by whom it was for; and what it told nobody of. */
  const taken = new Map<string, string[]>();
  const untold: { wamid: string; id: string }[] = [];
  line.graph.onSend(({ body }) => {
    const chance = draw();
    if (chance < 0.35) {
      return line.graph.answerNext(refusals[Math.floor(draw() * refusals.length)] ?? 'drop');
    }
    const wamid = `wamid.${crypto.randomUUID()}`;
    taken.set(body.to ?? '', [...(taken.get(body.to ?? '') ?? []), body.text.body]);
    if (chance < 0.55) {
      untold.push({ wamid, id: body.biz_opaque_callback_data });
      return line.graph.answerNext('drop');
    }
    return line.graph.answerNext({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: { messages: [{ id: wamid }] },
    });
  });

  const people = await Promise.all(
    Array.from({ length: PEOPLE }, () => line.sayAndLeave(words.join(' '))),
  );
  const unsettled = async () => {
    const [row] = await line.api.sql(
      `SELECT count(*)::int AS count FROM chat_messages WHERE status IN ('waiting', 'pending', 'sending', 'unknown')`,
    );
    return row?.['count'];
  };
  for (let round = 0; round < 200 && (await unsettled()) !== 0; round++) {
    // statuses come in, waits are over; of what is still unknown no status is kept back
    for (const reply of untold.splice(0)) await line.post(statusOf(reply, 'delivered'));
    await line.api.sql(
      `UPDATE chat_messages SET claim_expires_at = clock_timestamp() - interval '1 second' WHERE status = 'pending'`,
    );
    await recover(line.api.app, { requestId: 'storm', endsAt: performance.now() + 60_000 });
  }

  expect(await unsettled(), `seed ${seed}`).toBe(0);
  for (const phone of people) {
    expect(taken.get(phone), `seed ${seed}`).toEqual(words);
    expect((await line.replies(phone)).map(({ status, error }) => [status, error])).toEqual(
      words.map(() => [expect.stringMatching(/^(sent|delivered)$/), null]),
    );
  }
  await line.close();
});
