import { expect } from 'vitest';
import type { DeviceId, Turn } from '../../lib/storage/storage.ts';
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
import { toSend } from './ways.ts';

const fences = (turns: Turn[]) => turns.map(({ fence }) => fence).toSorted();

const ways = (h: Harness) => ({
  replies: async (device: DeviceId) =>
    (await h.messages(device))
      .filter(({ role }) => role === 'assistant')
      .map(({ content, status, externalId, attempts }) => [content, status, externalId, attempts]),
});

/** Which turns a call gets, and how a delivery ends, when things went wrong before. */
export const takingCases = {
  'a repeated call of ACCEPT gets its own turns again, however many devices could be had': async (
    h,
  ) => {
    const devices = Array.from({ length: 12 }, newDevice);
    const messages = devices.map((device) => message(device));
    const call = terms({ maxTurns: 4 });
    const turnsOf = async () =>
      (await h.storage.accept(messages, call)).flatMap(({ turn }) => turn ?? []);
    const first = await turnsOf();
    expect(first).toHaveLength(4);
    // the device that stands first is free again, and must not take the place of one of ours
    const lowest = first.toSorted((a, b) => (a.device < b.device ? -1 : 1))[0];
    if (lowest === undefined) throw new Error('no turn');
    await commit(h.storage, lowest, commitOf('done'));
    await h.storage.accept([message(lowest.device)], terms({ maxTurns: 0 }));
    const own = first.filter((turn) => turn !== lowest);
    const again = await turnsOf();
    expect(fences(again)).toEqual(expect.arrayContaining(fences(own)));
    expect(again).toHaveLength(4);
  },

  'a repeated call of NEXT too': async (h) => {
    const devices = Array.from({ length: 8 }, newDevice).toSorted();
    await h.storage.accept(
      devices.slice(2).map((device) => message(device)),
      terms({ maxTurns: 0 }),
    );
    const call = terms({ maxTurns: 3 });
    const first = (await h.storage.next(devices, call)).turns;
    await h.storage.accept(
      devices.slice(0, 2).map((device) => message(device)),
      terms({ maxTurns: 0 }),
    );
    expect(fences((await h.storage.next(devices, call)).turns)).toEqual(fences(first));
  },

  'a repeated call of RECOVER gets its deliveries again': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const { replies: written } = await commit(h.storage, turn, toSend('a'));
    const pending = written.map(({ id }) => ({ id, status: 'pending' as const, retryMs: 0 }));
    await h.storage.settle(device, turn.fence, pending, 0);
    const call = terms({ maxTurns: 100 });
    const mine = async () =>
      (await h.storage.recover(call)).turns.filter((one) => one.device === device);
    const first = await mine();
    expect(first.map((one) => one.replies.length)).toEqual([1]);
    expect(fences(await mine())).toEqual(fences(first));
  },

  'recovery looks past devices that have no turn to give: one that fell while sending, one set aside':
    async (h) => {
      for (let i = 0; i < 3; i++) {
        const fell = await take(h.storage, newDevice());
        await commit(h.storage, fell, toSend('a'));
        await h.shift(fell.device, { turn: 0 });
        const aside = newDevice();
        await take(h.storage, aside);
        for (let attempt = 0; attempt < 2; attempt++) {
          await h.shift(aside, { turn: 0 });
          await h.storage.next([aside], terms());
        }
        await h.shift(aside, { turn: 0 });
      }
      const waits = newDevice();
      await h.storage.accept([message(waits)], terms({ maxTurns: 0 }));
      const { turns } = await h.storage.recover(terms({ maxTurns: 1 }));
      expect(turns.map(({ device }) => device)).toEqual([waits]);
    },

  'a delivery that settles too late still says what the channel took, and nothing else': async (
    h,
  ) => {
    const { replies } = ways(h);

    const device = newDevice();
    const turn = await take(h.storage, device);
    const { replies: written } = await commit(h.storage, turn, toSend('a', 'b', 'c'));
    await h.shift(device, { turn: 0 });
    await h.storage.recover(terms({ maxTurns: 100 }));
    // the turn is somebody else's by now
    await take(h.storage, device, { content: 'next' });
    const [a = '', b = '', c = ''] = written.map(({ id }) => id);
    const late = await h.storage.settle(
      device,
      turn.fence,
      [
        { id: a, status: 'sent', externalId: 'wamid.a' },
        { id: b, status: 'failed', error: 'graph_131026' },
        { id: c, status: 'pending', untried: true },
      ],
      60_000,
    );
    expect(late).toBeNull();
    expect((await replies(device)).map((row) => row.slice(0, 3))).toEqual([
      ['a', 'sent', 'wamid.a'],
      ['b', 'failed', null],
      ['c', 'unknown', null],
    ]);
  },

  'a delivery found lapsed by somebody who takes nothing still settles with what the channel took':
    async (h) => {
      const { replies } = ways(h);
      const device = newDevice();
      const said = message(device);
      const [accepted] = await h.storage.accept([said], terms());
      if (accepted?.turn == null) throw new Error('the turn was not free');
      const { replies: written } = await commit(h.storage, accepted.turn, toSend('a'));
      await h.shift(device, { turn: -1 });
      await h.storage.accept([said], terms());
      expect((await replies(device)).map(([, status]) => status)).toEqual(['unknown']);
      const sent = written.map(({ id }) => ({
        id,
        status: 'sent' as const,
        externalId: 'wamid.late',
      }));
      await h.storage.settle(device, accepted.turn.fence, sent, 60_000);
      expect((await replies(device)).map((row) => row.slice(1, 3))).toEqual([
        ['sent', 'wamid.late'],
      ]);
    },

  'a delivery put down with no time left leaves its replies untried, and takes no other turn':
    async (h) => {
      const { replies } = ways(h);

      const device = newDevice();
      const turn = await take(h.storage, device);
      const { replies: written } = await commit(h.storage, turn, toSend('a'));
      await h.storage.accept([message(device)], terms());
      const untried = written.map(({ id }) => ({ id, status: 'pending' as const, untried: true }));
      expect(await h.storage.settle(device, turn.fence, untried, 0)).toMatchObject({ turn: null });
      expect(await replies(device)).toEqual([['a', 'pending', null, 0]]);
      const [again] = (await h.storage.next([device], terms())).turns;
      expect(again?.replies).toMatchObject([{ content: 'a', attempts: 1 }]);
    },

  'a delivery hands out the replies of one number at a time, in the order in which they were written':
    async (h) => {
      const device = newDevice();
      const answer = async (account: string, text: string) => {
        const turn = await take(h.storage, device, { channel: 'whatsapp', account });
        const { replies: written } = await commit(h.storage, turn, toSend(text));
        const untried = written.map(({ id }) => ({
          id,
          status: 'pending' as const,
          retryMs: 3_600_000,
        }));
        await h.storage.settle(device, turn.fence, untried, 0);
      };
      await answer('one', 'a');
      await answer('one', 'b');
      await answer('two', 'c');
      await answer('one', 'd');
      await h.shift(device, { unsettled: 0 });
      const seen: [string, string[]][] = [];
      let [turn] = (await h.storage.recover(terms({ maxTurns: 100 }))).turns.filter(
        (one) => one.device === device,
      );
      while (turn !== undefined) {
        seen.push([turn.account, turn.replies.map(({ content }) => content)]);
        const sent = turn.replies.map(({ id }) => ({ id, status: 'sent' as const }));
        turn = (await h.storage.settle(device, turn.fence, sent, 60_000))?.turn ?? undefined;
      }
      expect(seen).toEqual([
        ['one', ['a', 'b']],
        ['two', ['c']],
        ['one', ['d']],
      ]);
    },

  'clearing a lock that has lapsed moves nothing: a turn given meanwhile may still set it': async (
    h,
  ) => {
    const device = newDevice();
    await h.storage.setLock(device, { agent: 'billing', ttlSeconds: 60 }, { kind: 'none' });
    const turn = await take(h.storage, device);
    await h.shift(device, { lock: 0 });
    expect(await h.storage.clearLock(device, { kind: 'none' })).toMatchObject({ written: true });
    const content = {
      ...commitOf('x'),
      lock: { do: 'set' as const, agent: 'scheduling', ttl: 60 },
    };
    expect((await commit(h.storage, turn, content)).lock?.agent).toBe('scheduling');
  },

  'a turn brings no more than three mebibytes of messages and history, and one message however long':
    async (h) => {
      const device = newDevice();
      const long = 'x'.repeat(750_000);
      await h.storage.accept(
        Array.from({ length: 8 }, (_, i) => message(device, { content: `${i}${long}` })),
        terms({ maxTurns: 0 }),
      );
      const huge = newDevice();
      await h.storage.accept(
        [message(huge, { content: 'y'.repeat(5_000_000) })],
        terms({ maxTurns: 0 }),
      );
      expect((await h.storage.next([huge], terms())).turns[0]?.messages).toHaveLength(1);
      const answered: string[] = [];
      let [turn] = (await h.storage.next([device], terms())).turns;
      while (turn !== undefined) {
        const bytes = [...turn.messages, ...turn.history].reduce(
          (sum, { content }) => sum + content.length,
          0,
        );
        expect(bytes).toBeLessThan(3 * 1_048_576);
        expect(turn.messages.length).toBeLessThanOrEqual(2);
        answered.push(...turn.messages.map(({ content }) => content.slice(0, 1)));
        turn = (await commit(h.storage, turn, commitOf('ok'))).turn ?? undefined;
      }
      expect(answered).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    },
} satisfies Cases;
