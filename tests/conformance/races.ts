import { expect } from 'vitest';
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
import type { Cases } from './case.ts';
import { retake, toSend } from './ways.ts';

const fifty = <T>(run: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: 50 }, (_, i) => run(i)));

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

async function send(h: Harness, device: DeviceId, content: string): Promise<void> {
  const [accepted] = await h.storage.accept([message(device, { content })], terms());
  if (accepted?.turn != null) await workOn(h, accepted.turn);
}

/** Many callers in the same moment. */
export const raceCases = {
  'messages to one device: each counted, each answered by exactly one reply, no gap, nobody in between':
    async (h) => {
      const device = newDevice();
      await fifty((i) => send(h, device, `m${i}`));
      expect((await h.storage.getState(device)).state).toEqual({ counter: 50 });
      const stored = await h.messages(device);
      const questions = stored.filter(({ role }) => role === 'user');
      const answered = stored.flatMap(({ answers }) => answers ?? []);
      expect(questions).toHaveLength(50);
      expect(answered.toSorted()).toEqual(questions.map(({ id }) => id).toSorted());
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
      expect(await h.sessions(device)).toMatchObject([{ messageCount: stored.length }]);
    },

  'devices stay apart: each has its own messages, its own counter and its own order': async (h) => {
    const devices = Array.from({ length: 100 }, newDevice);
    await Promise.all(
      devices.flatMap((device) => [1, 2, 3].map((i) => send(h, device, `${device} ${i}`))),
    );
    for (const device of devices) {
      expect((await h.storage.getState(device)).state).toEqual({ counter: 3 });
      const stored = await h.messages(device);
      expect(
        stored.filter(({ role, content }) => role === 'user' && content.startsWith(device)),
      ).toHaveLength(3);
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
    }
  },

  'batches over the same devices, in every order, end without a deadlock and lose nothing': async (
    h,
  ) => {
    const devices = Array.from({ length: 12 }, newDevice);
    const shuffled = (seed: number) => devices.toSorted((a, b) => hash(a, seed) - hash(b, seed));
    const accepted = await fifty((i) =>
      h.storage.accept(
        shuffled(i).map((device) => message(device)),
        terms({ maxTurns: 100 }),
      ),
    );
    await Promise.all(
      accepted.flat().flatMap(({ turn }) => (turn === null ? [] : [workOn(h, turn)])),
    );
    for (const device of devices)
      expect((await h.storage.getState(device)).state).toEqual({ counter: 50 });
  },

  'takers of one lapsed turn: one gets it, and the failed try counts once': async (h) => {
    const device = newDevice();
    await take(h.storage, device);
    await h.shift(device, { turn: 0 });
    const all = await fifty(() => h.storage.next([device], terms()));
    expect(all.flatMap(({ turns }) => turns)).toHaveLength(1);
    expect(await h.messages(device)).toMatchObject([{ attempts: 1 }]);
  },

  'calls of one name for the same devices: all get the same turns': async (h) => {
    const devices = Array.from({ length: 10 }, newDevice);
    const batch = devices.map((device) => message(device));
    const owner = terms({ maxTurns: 3 });
    const all = await fifty(() => h.storage.accept(batch, owner));
    const fences = all.map((accepted) =>
      accepted.flatMap(({ turn }) => turn?.fence ?? []).toSorted(),
    );
    expect(fences[0]).toHaveLength(3);
    for (const one of fences) expect(one).toEqual(fences[0]);
  },

  'commits of one turn, all the same: one reply': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const all = await fifty(() =>
      h.storage.commit(device, turn.fence, 'builtin', commitOf('a'), 60_000),
    );
    expect(all.every(({ outcome }) => outcome === 'committed')).toBe(true);
    expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toHaveLength(1);
  },

  'commits of one turn, all different: one is taken': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const all = await fifty((i) =>
      h.storage.commit(device, turn.fence, 'builtin', commitOf(`a${i}`), 60_000),
    );
    expect(all.filter(({ outcome }) => outcome === 'committed')).toHaveLength(1);
    expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toHaveLength(1);
  },

  'deliveries of one message: one message, one turn': async (h) => {
    const device = newDevice();
    const once = message(device);
    const all = await fifty(() => h.storage.accept([once], terms()));
    expect(all.filter(([accepted]) => accepted?.turn != null)).toHaveLength(1);
    expect(await h.messages(device)).toHaveLength(1);
  },

  'a holder that renews and others that would take the turn: one of them has it': async (h) => {
    for (let round = 0; round < 5; round++) {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.shift(device, { turn: 0 });
      const renewing = h.storage.extend(device, turn.fence, 'builtin', 60_000);
      const taking = await fifty(() => h.storage.next([device], terms()));
      const taken = taking.flatMap(({ turns }) => turns).length;
      expect(taken + ((await renewing) === null ? 0 : 1)).toBe(1);
    }
  },

  'a person who takes over and a worker who commits: the reply is written or the message recorded, never both':
    async (h) => {
      for (let round = 0; round < 10; round++) {
        const device = newDevice();
        const turn = await take(h.storage, device);
        const human = { agent: 'human', ttlSeconds: 60 };
        const [result] = await Promise.all([
          h.storage.commit(device, turn.fence, 'builtin', commitOf('a'), 60_000),
          h.storage.setLock(device, human, { kind: 'none' }),
        ]);
        const statuses = (await h.messages(device)).map(({ status }) => status);
        expect(statuses).toEqual(
          result.outcome === 'committed' ? ['answered', 'sent'] : ['recorded'],
        );
      }
    },

  'settlements of one turn: all go on with the same turn, and each reply is noted once': async (
    h,
  ) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const { replies } = await commit(h.storage, turn, toSend('a'));
    await h.storage.accept([message(device)], terms());
    const refused = replies.map(({ id }) => ({ id, status: 'failed' as const }));
    const all = await fifty(() => h.storage.settle(device, turn.fence, refused, 60_000));
    expect(new Set(all.map((settled) => settled?.turn?.fence)).size).toBe(1);
    expect(all[0]?.turn).not.toBeNull();
    expect(await retake(h, device)).toBeUndefined();
  },

  'failures of one turn: one counts': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const all = await fifty(() => h.storage.fail(device, turn.fence, 'Error'));
    expect(all.filter((failed) => failed !== null)).toHaveLength(1);
    expect(await h.messages(device)).toMatchObject([{ attempts: 1, status: 'waiting' }]);
  },

  'a message for each of fifty devices and the clean-up beside it: nothing is lost': async (h) => {
    const devices = Array.from({ length: 50 }, newDevice);
    for (const device of devices) {
      await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
      await h.shift(device, { lock: 0 });
    }
    await Promise.all([
      ...devices.map((device) => send(h, device, 'm')),
      ...Array.from({ length: 10 }, () => h.storage.cleanUp(10)),
    ]);
    for (const device of devices) {
      expect((await h.storage.getState(device)).state).toEqual({ counter: 1 });
      expect((await h.events(device)).length).toBeLessThanOrEqual(1);
    }
  },
} satisfies Cases;

function hash(text: string, seed: number): number {
  let value = seed;
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193);
  return value;
}
