import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Commit, DeviceId, Turn } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';

/** Works as the product does: until the commit keeps nothing. Counts in the state what it answers. */
async function workOn(h: Harness, first: Turn): Promise<void> {
  for (let turn: Turn | null = first; turn !== null;) {
    const counter = Number(turn.state['counter'] ?? 0) + turn.messages.length;
    const content: Commit = {
      ...commitOf(`answers ${turn.messages.length}`),
      statePatch: { counter },
    };
    turn = (await commit(h.storage, turn, content)).turn;
  }
}

export function racePromises(open: () => Promise<Harness>): void {
  describe('fifty at once', () => {
    let h: Harness;
    beforeAll(async () => {
      h = await open();
    });
    afterAll(() => h.close());

    const send = async (device: DeviceId, content: string) => {
      const [accepted] = await h.storage.accept([message(device, { content })], terms());
      if (accepted?.turn != null) await workOn(h, accepted.turn);
    };

    it('messages to one device: each counted, each answered by exactly one reply, no gap, nobody in between', async () => {
      const device = newDevice();
      await Promise.all(Array.from({ length: 50 }, (_, i) => send(device, `m${i}`)));
      expect((await h.storage.getState(device)).state).toEqual({ counter: 50 });
      const stored = await h.messages(device);
      const questions = stored.filter(({ role }) => role === 'user');
      const answered = stored.flatMap(({ answers }) => answers ?? []);
      expect(questions).toHaveLength(50);
      expect(answered.toSorted()).toEqual(questions.map(({ id }) => id).toSorted());
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
    });

    it('devices stay apart: each has its own messages, its own counter and its own order', async () => {
      const devices = Array.from({ length: 100 }, newDevice);
      await Promise.all(
        devices.flatMap((device) => [1, 2, 3].map((i) => send(device, `${device} ${i}`))),
      );
      for (const device of devices) {
        expect((await h.storage.getState(device)).state).toEqual({ counter: 3 });
        const stored = await h.messages(device);
        expect(
          stored.filter(({ role, content }) => role === 'user' && content.startsWith(device)),
        ).toHaveLength(3);
        expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
      }
    });

    it('batches over the same devices, in every order, end without a deadlock and lose nothing', async () => {
      const devices = Array.from({ length: 12 }, newDevice);
      const shuffled = (seed: number) => devices.toSorted((a, b) => hash(a, seed) - hash(b, seed));
      const accepted = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          h.storage.accept(
            shuffled(i).map((device) => message(device)),
            terms({ maxTurns: 100 }),
          ),
        ),
      );
      await Promise.all(
        accepted.flat().flatMap(({ turn }) => (turn === null ? [] : [workOn(h, turn)])),
      );
      for (const device of devices)
        expect((await h.storage.getState(device)).state).toEqual({ counter: 50 });
    });

    it('takers of one lapsed turn: one gets it', async () => {
      const device = newDevice();
      await take(h.storage, device);
      await h.shift(device, { turn: 0 });
      const all = await Promise.all(
        Array.from({ length: 50 }, () => h.storage.next([device], terms())),
      );
      expect(all.flatMap(({ turns }) => turns)).toHaveLength(1);
    });

    it('commits of one turn, all the same: one reply', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      const all = await Promise.all(
        Array.from({ length: 50 }, () =>
          h.storage.commit(device, turn.fence, 'builtin', commitOf('a'), 60_000),
        ),
      );
      expect(all.every(({ outcome }) => outcome === 'committed')).toBe(true);
      expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toHaveLength(1);
    });

    it('deliveries of one message: one message, one turn', async () => {
      const device = newDevice();
      const once = message(device);
      const all = await Promise.all(
        Array.from({ length: 50 }, () => h.storage.accept([once], terms())),
      );
      expect(all.filter(([accepted]) => accepted?.turn != null)).toHaveLength(1);
      expect(await h.messages(device)).toHaveLength(1);
    });
  });
}

function hash(text: string, seed: number): number {
  let value = seed;
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193);
  return value;
}
