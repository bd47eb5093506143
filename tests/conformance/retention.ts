import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { drain } from '../support/drain.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
  time,
} from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf, retake, sentBy, toSend } from './ways.ts';

const days = (count: number) => count * time.day;

/** A message of this sender is stored and answered; gives the device it came to. */
async function hear(
  h: Harness,
  sender: { phone: string | null; userId: string | null },
): Promise<DeviceId> {
  const incoming = message(newDevice(), { sender, channel: 'whatsapp', account: 'n' });
  const [accepted] = await h.storage.accept([incoming], terms());
  if (accepted?.turn == null) throw new Error('the turn was not free');
  await commit(h.storage, accepted.turn, commitOf('a'));
  return accepted.device;
}

/** What was said goes in the end; the key by which a redelivery is known stays for eight days. */
export const retentionCases = {
  'purges the messages of sessions without activity for so long, not before': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      for (const [age, left] of [
        [days(30) - time.minute, 2],
        [days(30), 0],
      ] as const) {
        const device = newDevice();
        await commit(h.storage, await take(h.storage, device), commitOf('a'));
        await h.age(device, age);
        const { purgedMessages } = await drain(h);
        expect(purgedMessages).toBe(2 - left);
        expect(await h.messages(device)).toHaveLength(left);
        expect(await h.sessions(device)).toHaveLength(left / 2);
      }
    }),

  'counts from the last activity: what was said long before in a thread that goes on stays': (
    _,
    open,
  ) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      await h.age(device, days(31));
      await h.shift(device, { session: 60_000 });
      const second = await take(h.storage, device);
      expect(second.sessionId).toBe(first.sessionId);
      await commit(h.storage, second, commitOf('b'));
      await drain(h);
      expect(await h.messages(device)).toHaveLength(4);
    }),

  'never touches a session that lives, however short the retention': (_, open) =>
    on(open({ retentionDays: 1, sessionTtl: 10 * 86_400 }), async (h) => {
      const device = newDevice();
      const first = await take(h.storage, device);
      await commit(h.storage, first, commitOf('a'));
      await h.age(device, days(9));
      await drain(h);
      const second = await take(h.storage, device);
      expect(second.sessionId).toBe(first.sessionId);
      expect(second.history).toHaveLength(2);
      expect(await h.sessions(device)).toMatchObject([{ messageCount: 2 }]);
    }),

  'kept for ever at 0': (_, open) =>
    on(open({ retentionDays: 0 }), async (h) => {
      const device = newDevice();
      await commit(h.storage, await take(h.storage, device), commitOf('a'));
      await h.age(device, days(10_000));
      expect(await drain(h)).toMatchObject({ purgedMessages: 0 });
      expect(await h.messages(device)).toHaveLength(2);
    }),

  'empties what is younger than eight days, and knows a redelivery of it still': (_, open) =>
    on(open({ retentionDays: 1 }), async (h) => {
      const device = newDevice();
      const once = message(device, { externalId: 'm1', content: 'private' });
      const turn = await take(h.storage, device, once);
      await commit(h.storage, turn, commitOf('a'));
      await h.age(device, days(2));
      expect(await drain(h)).toMatchObject({ purgedMessages: 2 });
      expect(await h.messages(device)).toMatchObject([
        { status: 'erased', content: '', externalId: null, seq: null },
      ]);
      // the key needs no session
      expect(await h.sessions(device)).toEqual([]);
      expect(await drain(h)).toMatchObject({ purgedMessages: 0 });
      const [again] = await h.storage.accept([once], terms());
      expect(again).toMatchObject({
        turn: null,
        waiting: false,
        messages: [{ duplicate: true, status: 'erased' }],
      });
      await h.age(device, days(6) + time.minute);
      expect(await drain(h)).toMatchObject({ purgedMessages: 1 });
      const [fresh] = await h.storage.accept([once], terms());
      expect(fresh).toMatchObject({ messages: [{ duplicate: false, status: 'waiting' }] });
    }),

  'takes along, after eight days, the keys of sessions that were deleted': (_, open) =>
    on(open({ retentionDays: 0 }), async (h) => {
      const device = newDevice();
      const once = message(device, { externalId: 'm1' });
      const turn = await take(h.storage, device, once);
      await commit(h.storage, turn, commitOf('a'));
      await h.storage.deleteSession(turn.sessionId, { owner: null, includeExpired: false });
      await h.age(device, days(8) - time.minute);
      expect(await drain(h)).toMatchObject({ purgedMessages: 0 });
      await h.age(device, time.minute);
      expect(await drain(h)).toMatchObject({ purgedMessages: 1 });
      expect(await h.messages(device)).toEqual([]);
    }),

  'forgets who wrote, once nothing is kept of their device': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const [phone, userId] = ['15550001', 'US.1'];
      const device = await hear(h, { phone, userId });
      await h.age(device, days(31));
      await drain(h);
      // by the number alone they come back to where they were; the id was only linked to it
      expect(await hear(h, { phone: null, userId })).not.toBe(device);
      expect(await hear(h, { phone, userId: null })).toBe(device);
    }),

  'knows who wrote, for as long as anything is kept of their device': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const keep: Record<string, (device: DeviceId) => Promise<unknown>> = {
        'a state': (device) => h.storage.putState(device, { a: 1 }, { kind: 'none' }),
        'a message': async (device) => {
          await h.age(device, days(31));
          await h.storage.accept([message(device)], terms({ maxTurns: 0 }));
        },
        'a lock': (device) =>
          h.storage.setLock(
            device,
            { agent: 'billing', ttlSeconds: 86_400 * 90 },
            { kind: 'none' },
          ),
      };
      for (const [what, write] of Object.entries(keep)) {
        const device = await hear(h, { phone: what, userId: `US.${what}` });
        await write(device);
        await h.age(device, days(31));
        await drain(h);
        expect(await hear(h, { phone: null, userId: `US.${what}` }), what).toBe(device);
      }
    }),

  'never purges what waits, nor a reply that is not out': (_, open) =>
    on(open({ retentionDays: 1 }), async (h) => {
      const waiting = newDevice();
      await h.storage.accept([message(waiting, { content: 'still here' })], terms({ maxTurns: 0 }));
      const unsettled = newDevice();
      const turn = await take(h.storage, unsettled);
      await commit(h.storage, turn, toSend('a', 'b'));
      const deliveries = (await h.messages(unsettled))
        .filter(({ role }) => role === 'assistant')
        .map(({ id }, i) => ({
          id,
          status: i === 0 ? ('unknown' as const) : ('pending' as const),
        }));
      await h.storage.settle(unsettled, turn.fence, deliveries, 0);
      const sending = newDevice();
      await commit(h.storage, await take(h.storage, sending), toSend('c'));
      for (const device of [waiting, unsettled, sending]) await h.age(device, days(100));
      await drain(h);
      expect(contentsOf(await retake(h, waiting))).toEqual(['still here']);
      expect(await sentBy(h, unsettled)).toEqual(['a unknown', 'b pending']);
      expect(await sentBy(h, sending)).toEqual(['c sending']);
    }),

  'purges what was set aside, and what a person was told': (_, open) =>
    on(open({ maxAttempts: 1 }), async (h) => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await h.storage.fail(device, turn.fence, 'Error');
      await h.storage.setLock(device, { agent: 'human', ttlSeconds: 60 }, { kind: 'none' });
      await h.storage.accept([message(device)], terms());
      await h.age(device, days(31));
      expect(await drain(h)).toMatchObject({ purgedMessages: 2 });
      expect(await h.messages(device)).toEqual([]);
    }),

  'goes in batches, and twice at once': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const devices = Array.from({ length: 6 }, newDevice);
      for (const device of devices) {
        await commit(h.storage, await take(h.storage, device), commitOf('a', 'b'));
        await h.age(device, days(31));
      }
      const sums = await Promise.all([drain(h, 5), drain(h, 5)]);
      const rest = await drain(h);
      const purged = [...sums, rest].reduce((sum, run) => sum + run.purgedMessages, 0);
      expect(purged).toBe(18);
      for (const device of devices) {
        expect(await h.messages(device)).toEqual([]);
        expect(await h.sessions(device)).toEqual([]);
      }
    }),

  'takes the timeline along, batch after batch': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const device = newDevice();
      for (let i = 0; i < 8; i++)
        await h.storage.setLock(device, { agent: `a${i}`, ttlSeconds: 60 }, { kind: 'none' });
      await h.age(device, days(31));
      await h.storage.setLock(device, { agent: 'other', ttlSeconds: 60 }, { kind: 'none' });
      await h.storage.clearLock(device, { kind: 'none' });
      await drain(h, 3);
      expect(await h.events(device)).toMatchObject([{ agent: 'other', reason: 'cleared' }]);
    }),

  'leaves the order of what comes after: places go on where they were': (_, open) =>
    on(open({ retentionDays: 30 }), async (h) => {
      const device = newDevice();
      await commit(h.storage, await take(h.storage, device), commitOf('a'));
      await h.age(device, days(31));
      await drain(h);
      await commit(h.storage, await take(h.storage, device), commitOf('b'));
      expect((await h.messages(device)).map(({ seq }) => seq)).toEqual([3, 4]);
    }),
} satisfies Cases;
