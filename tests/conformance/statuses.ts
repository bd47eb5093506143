import { expect } from 'vitest';
import type { DeviceId, ReplyStatus } from '../../lib/storage/storage.ts';
import { commit, type Harness, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { recoverFor, sentBy, toSend } from './ways.ts';

const CHANNEL = 'whatsapp';

/** A reply that is being sent, or was: `wamid` is the channel's id of it. */
async function reply(h: Harness, { settled }: { settled: boolean }) {
  const device = newDevice();
  const account = device;
  const turn = await take(h.storage, device, { channel: CHANNEL, account });
  const { replies } = await commit(h.storage, turn, toSend('a'));
  const id = replies[0]?.id ?? '';
  const wamid = `wamid.${device}`;
  const settle = () =>
    h.storage.settle(device, turn.fence, [{ id, status: 'sent', externalId: wamid }], 60_000);
  if (settled) await settle();
  const told = (status: ReplyStatus['status'], some: Partial<ReplyStatus> = {}): ReplyStatus => ({
    account,
    externalId: wamid,
    replyId: null,
    status,
    ...some,
  });
  const note = (...statuses: ReplyStatus[]) => h.storage.noteStatuses(CHANNEL, statuses);
  return { device, id, wamid, settle, told, note };
}

const stored = async (h: Harness, device: DeviceId) =>
  (await h.messages(device)).find(({ role }) => role === 'assistant');

/** What a channel reports of replies. */
export const statusCases = {
  'move forward only, in whatever order they come': async (h) => {
    const orders = [
      ['sent', 'delivered', 'read'],
      ['read', 'delivered', 'sent'],
      ['delivered', 'sent', 'read'],
    ] as const;
    for (const order of orders) {
      const { device, told, note } = await reply(h, { settled: true });
      for (const status of order) expect((await note(told(status))).known).toBe(1);
      expect(await sentBy(h, device)).toEqual(['a read']);
    }
    const { device, told, note } = await reply(h, { settled: true });
    await note(told('sent'), told('read'), told('delivered'));
    expect(await sentBy(h, device)).toEqual(['a read']);
  },

  'of replies that are not kept here are of none': async (h) => {
    const { device, id, told, note } = await reply(h, { settled: true });
    expect((await note()).known).toBe(0);
    expect((await note(told('read', { externalId: 'wamid.other' }))).known).toBe(0);
    expect((await note(told('read', { account: 'other', replyId: id }))).known).toBe(0);
    expect((await h.storage.noteStatuses('other', [told('read')])).known).toBe(0);
    expect((await note(told('read', { externalId: 'x', replyId: '999999999' }))).known).toBe(0);
    expect(await sentBy(h, device)).toEqual(['a sent']);
  },

  'that come before the sender settles stay when it does': async (h) => {
    const { device, id, settle, told, note } = await reply(h, { settled: false });
    await note(told('delivered', { replyId: id }));
    expect(await sentBy(h, device)).toEqual(['a delivered']);
    expect(await settle()).toMatchObject({ turn: null });
    expect(await sentBy(h, device)).toEqual(['a delivered']);
  },

  'that come before the sender settles leave its call, asked again, nothing to send': async (h) => {
    const device = newDevice();
    const call = terms();
    const way = { channel: CHANNEL, account: device };
    const [accepted] = await h.storage.accept([message(device, way)], call);
    if (accepted?.turn == null) throw new Error('the turn was not free');
    const { replies } = await commit(h.storage, accepted.turn, toSend('a'));
    const replyId = replies[0]?.id ?? null;
    const read = { account: device, externalId: 'wamid', replyId, status: 'read' as const };
    await h.storage.noteStatuses(CHANNEL, [read]);
    const [again] = await h.storage.accept([message(device, way)], call);
    expect(again).toMatchObject({ turn: null, waiting: true });
    const settled = await h.storage.settle(device, accepted.turn.fence, [], 60_000);
    expect(settled?.turn?.messages).toHaveLength(1);
  },

  'tell of a reply whose fate nobody knew, which is then not sent again': async (h) => {
    const { device, id, wamid, told, note } = await reply(h, { settled: false });
    await h.shift(device, { turn: 0 });
    await recoverFor(h, device);
    expect(await sentBy(h, device)).toEqual(['a unknown']);
    await note(told('sent', { replyId: id }));
    expect(await stored(h, device)).toMatchObject({ status: 'sent', externalId: wamid });
    await h.shift(device, { unsettled: 0 });
    expect(await recoverFor(h, device)).toBeUndefined();
  },

  'of a failure are final, and come too late once somebody has the reply': async (h) => {
    const failed = await reply(h, { settled: true });
    await failed.note(failed.told('failed', { error: 'graph_131026' }));
    await failed.note(failed.told('delivered'));
    expect(await stored(h, failed.device)).toMatchObject({
      status: 'failed',
      error: 'graph_131026',
    });
    const delivered = await reply(h, { settled: true });
    await delivered.note(delivered.told('delivered'));
    await delivered.note(delivered.told('failed'));
    expect(await sentBy(h, delivered.device)).toEqual(['a delivered']);
  },

  'of a failure that may pass have the reply sent again, and then say nothing of the new attempt':
    async (h) => {
      const { device, told, note } = await reply(h, { settled: true });
      await note(told('failed', { retryMs: 60_000, error: 'graph_131056' }));
      expect(await sentBy(h, device)).toEqual(['a pending']);
      expect(await recoverFor(h, device)).toBeUndefined();
      await h.shift(device, { unsettled: 0 });
      const again = await recoverFor(h, device);
      expect(again?.replies).toMatchObject([{ content: 'a', attempts: 2 }]);
      await note(told('failed', { error: 'graph_131056' }));
      expect(await sentBy(h, device)).toEqual(['a sending']);
    },

  'of a failure that may pass are final after MAX_ATTEMPTS': async (h) => {
    const { device, told, note } = await reply(h, { settled: true });
    for (let attempt = 1; attempt <= 3; attempt++) {
      const externalId = `wamid.${device}${attempt > 1 ? attempt : ''}`;
      await note(told('failed', { externalId, retryMs: 60_000 }));
      await h.shift(device, { unsettled: 0 });
      const again = await recoverFor(h, device);
      expect(again !== undefined, `attempt ${attempt}`).toBe(attempt < 3);
      if (again === undefined) break;
      const [sending] = again.replies;
      const sent = {
        id: sending?.id ?? '',
        status: 'sent' as const,
        externalId: `wamid.${device}${attempt + 1}`,
      };
      await h.storage.settle(device, again.fence, [sent], 60_000);
    }
    expect(await sentBy(h, device)).toEqual(['a failed']);
  },

  'of fifty at once leave the furthest': async (h) => {
    const { device, told, note } = await reply(h, { settled: true });
    const statuses = ['sent', 'delivered', 'read'] as const;
    await Promise.all(Array.from({ length: 50 }, (_, i) => note(told(statuses[i % 3] ?? 'sent'))));
    expect(await sentBy(h, device)).toEqual(['a read']);
  },
} satisfies Cases;
