import { expect } from 'vitest';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf } from './ways.ts';

const MEBIBYTE = 1_048_576;

/** Large values, and many. */
export const sizeCases = {
  'a message of a mebibyte, of one letter or of a hundred thousand different words, comes back whole':
    async (h) => {
      const words = Array.from({ length: 100_000 }, (_, i) => `word${i}`).join(' ');
      for (const content of ['x'.repeat(MEBIBYTE), '€'.repeat(MEBIBYTE / 3), words]) {
        const device = newDevice();
        const turn = await take(h.storage, device, { content, metadata: { content } });
        expect(turn.messages[0]?.content === content).toBe(true);
        expect(turn.messages[0]?.metadata['content'] === content).toBe(true);
        const { replies } = await commit(h.storage, turn, commitOf(content));
        expect(replies[0]?.content === content).toBe(true);
      }
    },

  'a turn carries messages of two mebibytes, the rest comes with the next, and one comes in any case':
    async (h) => {
      const device = newDevice();
      const sizes = [3, 0.5, 0.5, 0.75, 0.5, 1];
      let turn = null;
      for (const size of sizes) {
        const content = 'x'.repeat(size * MEBIBYTE);
        const [accepted] = await h.storage.accept([message(device, { content })], terms());
        turn ??= accepted?.turn ?? null;
      }
      const handed: number[][] = [];
      while (turn !== null) {
        handed.push((contentsOf(turn) ?? []).map((content) => content.length / MEBIBYTE));
        turn = (await commit(h.storage, turn, commitOf())).turn;
      }
      expect(handed).toEqual([[3], [0.5, 0.5, 0.75], [0.5, 1]]);
    },

  'a turn carries a mebibyte of history, the newest of it': async (h) => {
    const device = newDevice();
    for (const size of [0.25, 0.375, 0.375, 0.125]) {
      const content = 'x'.repeat(size * MEBIBYTE);
      await commit(h.storage, await take(h.storage, device, { content }), commitOf('ok'));
    }
    const { history } = await take(h.storage, device);
    const sizes = history.map(({ content }) => content.length / MEBIBYTE);
    expect(sizes.filter((size) => size > 0.1)).toEqual([0.375, 0.375, 0.125]);
  },

  'what JSON escapes counts as long as it is on the wire': async (h) => {
    const device = newDevice();
    const content = '\u0001'.repeat(200_000); // 1.2 MB as \\u0001
    const said = [0, 1].map(() => message(device, { content }));
    const [accepted] = await h.storage.accept(said, terms());
    if (accepted?.turn == null) throw new Error('no turn');
    expect(accepted.turn.messages).toHaveLength(1);
    const { turn } = await commit(h.storage, accepted.turn, commitOf());
    expect(turn).toMatchObject({ messages: [{ content }], history: [] });
  },

  'a batch of a thousand messages of five hundred senders is one call': async (h) => {
    const senders = Array.from({ length: 500 }, (_, i) => ({ phone: `555${i}`, userId: `U${i}` }));
    const batch = [...senders, ...senders].map((sender) =>
      message(newDevice(), { channel: 'whatsapp', account: 'n', sender }),
    );
    const accepted = await h.storage.accept(batch, terms({ maxTurns: 4 }));
    expect(accepted).toHaveLength(500);
    expect(accepted.every(({ messages }) => messages.length === 2)).toBe(true);
    expect(accepted.filter(({ turn }) => turn !== null)).toHaveLength(4);
    expect(accepted.filter(({ waiting }) => waiting)).toHaveLength(496);
  },

  'a commit of a hundred replies keeps their order': async (h) => {
    const device = newDevice();
    const contents = Array.from({ length: 100 }, (_, i) => `reply ${i}`);
    const { replies } = await commit(
      h.storage,
      await take(h.storage, device),
      commitOf(...contents),
    );
    expect(replies.map(({ content }) => content)).toEqual(contents);
    expect((await h.messages(device)).slice(1).map(({ content }) => content)).toEqual(contents);
  },
} satisfies Cases;
