import { expect } from 'vitest';
import type { DeviceId, IncomingMessage, ReplyStatus } from '../../lib/storage/storage.ts';
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

const DAY = 86_400_000;
const channel = 'whatsapp';

const ways = (h: Harness) => ({
  send: async (device: DeviceId, ...replies: string[]) => {
    const turn = await take(h.storage, device, { channel, account: 'n' });
    const written = await commit(h.storage, turn, { ...commitOf(...replies), deliver: true });
    return { fence: turn.fence, ids: written.replies.map(({ id }) => id) };
  },
  note: (...statuses: Partial<ReplyStatus>[]) =>
    h.storage.noteStatuses(
      channel,
      statuses.map((one) => ({
        account: 'n',
        externalId: 'wamid.unknown',
        replyId: null,
        status: 'sent',
        ...one,
      })),
    ),
  replies: async (device: DeviceId) =>
    (await h.messages(device))
      .filter(({ role }) => role === 'assistant')
      .map(({ status, externalId }) => [status, externalId]),
  turnOf: async (age: number) => {
    const device = newDevice();
    const { now } = await h.storage.ping();
    const sentAt = new Date(now.getTime() - age);
    return { device, turn: await take(h.storage, device, { channel, account: 'n', sentAt }) };
  },
  inWindow: async ({ turn }: { turn: Parameters<typeof commit>[1] }) => {
    const { replies } = await commit(h.storage, turn, { ...commitOf('a'), deliver: true });
    return replies.map((reply) => reply.inWindow);
  },
  accept: async (device: DeviceId, ...some: Partial<IncomingMessage>[]) => {
    const messages = some.map((one) => message(device, one));
    const [accepted] = await h.storage.accept(messages, terms());
    if (accepted === undefined) throw new Error('no device');
    return accepted;
  },
});

/** What a channel reports of replies, and how long it lets us answer freely. */
export const reportCases = {
  'a status may come before the sender settles, by the reply’s own id, and stands': async (h) => {
    const { send, note, replies } = ways(h);

    const device = newDevice();
    const { fence, ids } = await send(device, 'a');
    const [id = ''] = ids;
    expect(await note({ replyId: id, externalId: 'wamid.1', status: 'delivered' })).toMatchObject({
      known: 1,
    });
    await h.storage.settle(device, fence, [{ id, status: 'unknown' }], 60_000);
    expect(await replies(device)).toEqual([['delivered', 'wamid.1']]);
  },

  'a status only moves forward, in whatever order and however often it comes': async (h) => {
    const { send, note, replies } = ways(h);

    const device = newDevice();
    const { fence, ids } = await send(device, 'a', 'b');
    const [a = '', b = ''] = ids;
    const sent = [
      { id: a, status: 'sent' as const, externalId: 'wamid.2a' },
      { id: b, status: 'sent' as const, externalId: 'wamid.2b' },
    ];
    await h.storage.settle(device, fence, sent, 60_000);
    await note(
      { externalId: 'wamid.2a', status: 'read' },
      { externalId: 'wamid.2a', status: 'sent' },
      { externalId: 'wamid.2a', status: 'delivered' },
      { externalId: 'wamid.2b', status: 'failed', error: 'graph_131026' },
    );
    expect(await replies(device)).toEqual([
      ['read', 'wamid.2a'],
      ['failed', 'wamid.2b'],
    ]);
    await note(
      { externalId: 'wamid.2a', status: 'delivered' },
      { externalId: 'wamid.2b', status: 'sent' },
      { externalId: 'wamid.2a', status: 'failed' },
    );
    expect(await replies(device)).toEqual([
      ['read', 'wamid.2a'],
      ['failed', 'wamid.2b'],
    ]);
  },

  'a status tells of a reply whose answer was lost, which is then not sent again, and lets the next one go':
    async (h) => {
      const { send, note, replies } = ways(h);

      const device = newDevice();
      const { fence, ids } = await send(device, 'a');
      const [id = ''] = ids;
      await h.storage.settle(device, fence, [{ id, status: 'unknown' }], 0);
      await note({ replyId: id, externalId: 'wamid.3' });
      expect(await replies(device)).toEqual([['sent', 'wamid.3']]);
      const turn = await take(h.storage, device, { channel, account: 'n' });
      expect(await commit(h.storage, turn, { ...commitOf('b'), deliver: true })).toMatchObject({
        deliver: true,
      });
    },

  'a status of a failure that passes brings the reply back, and the failed attempt says nothing of the next':
    async (h) => {
      const { send, note, replies } = ways(h);

      const device = newDevice();
      const { fence, ids } = await send(device, 'a');
      const [id = ''] = ids;
      const sent = { id, status: 'sent' as const, externalId: 'wamid.4' };
      await h.storage.settle(device, fence, [sent], 60_000);
      const failed = {
        externalId: 'wamid.4',
        status: 'failed' as const,
        error: 'graph_131056',
        retryMs: 60_000,
      };
      await note(failed);
      expect(await replies(device)).toEqual([['pending', 'wamid.4']]);
      await note({ externalId: 'wamid.4', status: 'sent' }, failed);
      expect(await replies(device)).toEqual([['pending', 'wamid.4']]);
      await h.shift(device, { unsettled: 0 });
      const { turns } = await h.storage.recover(terms({ maxTurns: 100 }));
      const turn = turns.find((one) => one.device === device);
      if (turn === undefined) throw new Error('not due');
      expect(turn.replies).toMatchObject([{ id, attempts: 2 }]);
      const second = { id, status: 'sent' as const, externalId: 'wamid.5' };
      await h.storage.settle(device, turn.fence, [second], 60_000);
      await note({ replyId: id, externalId: 'wamid.4', status: 'failed', error: 'late' });
      expect(await replies(device)).toEqual([['sent', 'wamid.5']]);
    },

  'a status of nobody’s reply, or at another number, changes nothing': async (h) => {
    const { send, note, replies } = ways(h);

    const device = newDevice();
    const { ids } = await send(device, 'a');
    const [id = ''] = ids;
    expect(await note({}, { replyId: id, account: 'other' })).toMatchObject({ known: 0 });
    expect(await note()).toMatchObject({ known: 0 });
    expect(await replies(device)).toEqual([['sending', null]]);
  },

  'the 24 hours are counted from what the person sent, by the storage’s clock': async (h) => {
    const { turnOf, inWindow } = ways(h);

    expect(await inWindow(await turnOf(DAY - 60_000))).toEqual([true]);
    expect(await inWindow(await turnOf(DAY))).toEqual([false]);
  },

  'the 24 hours begin anew with anything the person sends, answered or not, over the same number':
    async (h) => {
      const { turnOf, inWindow, accept } = ways(h);

      const late = await turnOf(DAY);
      const other = await turnOf(DAY);
      await accept(late.device, { channel: 'whatsapp', account: 'n', turn: false });
      await accept(other.device, { channel: 'web', turn: false });
      expect(await inWindow(late)).toEqual([true]);
      expect(await inWindow(other)).toEqual([false]);
    },
} satisfies Cases;
