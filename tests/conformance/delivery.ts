import { expect } from 'vitest';
import type { Delivery, DeviceId, Turn } from '../../lib/storage/storage.ts';
import {
  commit,
  commitOf,
  type Harness,
  message,
  newDevice,
  take,
  terms,
} from '../support/storage.ts';
import { type Cases, on } from './case.ts';
import { contentsOf, recoverFor, retake, sentBy, toSend } from './ways.ts';

const toId = ({ id }: { id: string }) => id;
/** What a worker says became of each of its replies. */
const all = (replies: { id: string }[], delivery: Omit<Delivery, 'id'>): Delivery[] =>
  replies.map(({ id }) => ({ id, ...delivery }));

/** A device with replies in the middle of being sent. */
async function sending(h: Harness, ...contents: string[]) {
  const device = newDevice();
  const turn = await take(h.storage, device);
  const { replies } = await commit(h.storage, turn, toSend(...contents));
  return { device, turn, replies };
}

/** The device's replies as they come due, sent by whoever finds them. */
async function due(h: Harness, device: DeviceId): Promise<Turn | undefined> {
  await h.shift(device, { unsettled: 0 });
  return recoverFor(h, device);
}

/** How replies go out: in order, once as far as anybody can know, and never lost in silence. */
export const deliveryCases = {
  'holds the turn from commit to settle, so that nobody else sends meanwhile': async (h) => {
    const device = newDevice();
    const turn = await take(h.storage, device);
    const result = await commit(h.storage, turn, toSend('a', 'b'));
    expect(result).toMatchObject({ deliver: true, turn: null });
    expect(await sentBy(h, device)).toEqual(['a sending', 'b sending']);
    const [queued] = await h.storage.accept([message(device, { content: 'more' })], terms());
    expect(queued?.turn).toBeNull();
    const [a, b] = result.replies.map(toId);
    const settled = await h.storage.settle(
      device,
      turn.fence,
      [
        { id: a ?? '', status: 'sent', externalId: 'wamid.a' },
        { id: b ?? '', status: 'failed', error: 'graph_131026' },
      ],
      60_000,
    );
    expect(contentsOf(settled?.turn)).toEqual(['more']);
    expect(await sentBy(h, device)).toEqual(['a sent', 'b failed']);
    expect((await h.messages(device)).filter(({ role }) => role === 'assistant')).toMatchObject([
      { externalId: 'wamid.a', error: null, attempts: 1 },
      { externalId: null, error: 'graph_131026', attempts: 1 },
    ]);
  },

  'without a reply ends with the commit': async (h) => {
    const device = newDevice();
    expect(await commit(h.storage, await take(h.storage, device), toSend())).toMatchObject({
      deliver: false,
      turn: null,
    });
    expect((await h.storage.accept([message(device)], terms()))[0]?.turn).not.toBeNull();
  },

  'may end the turn without taking the next one': async (h) => {
    const { device, turn, replies } = await sending(h, 'a');
    await h.storage.accept([message(device, { content: 'more' })], terms());
    const settled = await h.storage.settle(device, turn.fence, all(replies, { status: 'sent' }), 0);
    expect(settled?.turn).toBeNull();
    expect(contentsOf(await retake(h, device))).toEqual(['more']);
  },

  'settled twice returns the same turn, and lost the turn to another writes nothing': async (h) => {
    const { device, turn } = await sending(h, 'a');
    await h.storage.accept([message(device)], terms());
    const first = await h.storage.settle(device, turn.fence, [], 60_000);
    const second = await h.storage.settle(device, turn.fence, [], 60_000);
    expect(first?.turn).not.toBeNull();
    expect(second?.turn).toEqual(first?.turn);
    expect(await sentBy(h, device)).toEqual(['a unknown']);
  },

  'settled twice with nothing to go on to is settled': async (h) => {
    const { device, turn, replies } = await sending(h, 'a');
    const sent = all(replies, { status: 'sent' });
    for (let i = 0; i < 2; i++)
      expect(await h.storage.settle(device, turn.fence, sent, 60_000)).toMatchObject({
        turn: null,
      });
    const other = all(replies, { status: 'failed' });
    expect(await h.storage.settle(device, turn.fence, other, 60_000)).toMatchObject({ turn: null });
    expect(await sentBy(h, device)).toEqual(['a sent']);
  },

  'of one device touches no reply of another': async (h) => {
    const one = await sending(h, 'a');
    const other = await sending(h, 'b');
    const sent = all([...one.replies, ...other.replies], { status: 'sent' });
    await h.storage.settle(one.device, one.turn.fence, sent, 60_000);
    expect(await sentBy(h, one.device)).toEqual(['a sent']);
    expect(await sentBy(h, other.device)).toEqual(['b sending']);
  },

  'prints what it has no way to send': async (h) => {
    const { device, turn, replies } = await sending(h, 'a');
    await h.storage.settle(device, turn.fence, all(replies, { status: 'printed' }), 60_000);
    expect(await sentBy(h, device)).toEqual(['a printed']);
  },

  'that a worker fell in the middle of is reported as unknown, and tried again only after RESEND_AFTER':
    async (h) => {
      const { device, turn, replies } = await sending(h, 'a', 'b');
      await h.shift(device, { turn: 0 });
      expect(await recoverFor(h, device)).toBeUndefined();
      expect(await sentBy(h, device)).toEqual(['a unknown', 'b unknown']);
      expect(await recoverFor(h, device)).toBeUndefined();
      const again = await due(h, device);
      expect(again).toMatchObject({
        messages: [],
        history: [],
        replies: [
          { content: 'a', attempts: 2 },
          { content: 'b', attempts: 2 },
        ],
      });
      expect(again?.replies.map(toId)).toEqual(replies.map(toId));
      const sent = all(replies, { status: 'sent' });
      expect(again && (await h.storage.settle(device, again.fence, sent, 60_000))?.turn).toBeNull();
      expect(await sentBy(h, device)).toEqual(['a sent', 'b sent']);
      expect((await h.storage.settle(device, turn.fence, [], 60_000))?.turn ?? null).toBeNull();
    },

  'is tried again RESEND_AFTER after the lease, not before': (_, open) =>
    on(open({ resendAfterMs: 60_000 }), async (h) => {
      for (const [ago, isDue] of [
        [50_000, false],
        [60_000, true],
      ] as const) {
        const { device } = await sending(h, 'a');
        await h.shift(device, { turn: -ago });
        expect((await recoverFor(h, device)) !== undefined, `${ago} ms ago`).toBe(isDue);
      }
    }),

  'lets a worker that comes too late say what it alone knows, and nothing else': async (h) => {
    const { device, turn, replies } = await sending(h, 'a', 'b', 'c', 'd');
    await h.shift(device, { turn: 0 });
    await recoverFor(h, device);
    await take(h.storage, device);
    const [a, b, c] = replies.map(toId);
    const late: Delivery[] = [
      { id: a ?? '', status: 'sent', externalId: 'wamid.a' },
      { id: b ?? '', status: 'failed', error: 'graph_131026' },
      { id: c ?? '', status: 'pending' },
    ];
    expect(await h.storage.settle(device, turn.fence, late, 60_000)).toBeNull();
    expect(await sentBy(h, device)).toEqual(['a sent', 'b failed', 'c unknown', 'd unknown']);
    expect((await h.messages(device)).map(({ externalId }) => externalId)).toContain('wamid.a');
  },

  'never lets a later reply overtake one whose fate is unknown: it is written, and sent behind it':
    async (h) => {
      const { device, turn, replies } = await sending(h, 'a');
      await h.storage.settle(device, turn.fence, all(replies, { status: 'unknown' }), 60_000);
      const second = await take(h.storage, device);
      expect(await commit(h.storage, second, toSend('b'))).toMatchObject({
        deliver: false,
        replies: [{ content: 'b', attempts: 0 }],
      });
      expect(await sentBy(h, device)).toEqual(['a unknown', 'b pending']);
      expect(await recoverFor(h, device)).toBeUndefined();
      expect((await due(h, device))?.replies.map(({ content }) => content)).toEqual(['a', 'b']);
    },

  'hands over what goes one way only, in order': async (h) => {
    const device = newDevice();
    for (const [channel, content] of [
      ['a', 'one'],
      ['b', 'two'],
      ['a', 'three'],
    ] as const) {
      const turn = await take(h.storage, device, { channel, account: '1' });
      const { replies, deliver } = await commit(h.storage, turn, toSend(content));
      if (deliver)
        await h.storage.settle(device, turn.fence, all(replies, { status: 'unknown' }), 60_000);
    }
    const order: unknown[] = [];
    for (let turn = await due(h, device); turn !== undefined;) {
      order.push([turn.channel, ...turn.replies.map(({ content }) => content)]);
      const sent = all(turn.replies, { status: 'sent' });
      turn = (await h.storage.settle(device, turn.fence, sent, 60_000))?.turn ?? undefined;
    }
    expect(order).toEqual([
      ['a', 'one'],
      ['b', 'two'],
      ['a', 'three'],
    ]);
  },

  'goes before what waits: the replies that are due, then the next question': async (h) => {
    const { device, turn, replies } = await sending(h, 'a');
    await h.storage.settle(
      device,
      turn.fence,
      all(replies, { status: 'pending', retryMs: 60_000 }),
      60_000,
    );
    await h.storage.accept([message(device, { content: 'next' })], terms({ maxTurns: 0 }));
    await h.shift(device, { unsettled: 0 });
    const resend = await retake(h, device);
    expect(resend).toMatchObject({ messages: [], replies: [{ content: 'a' }] });
    if (resend === undefined) throw new Error('nothing was due');
    const sent = all(resend.replies, { status: 'sent' });
    const settled = await h.storage.settle(device, resend.fence, sent, 60_000);
    expect(contentsOf(settled?.turn)).toEqual(['next']);
  },

  'tries a refused reply again when it is due, and gives up after MAX_ATTEMPTS; an untried one does not count':
    async (h) => {
      const device = newDevice();
      let turn: Turn | undefined = await take(h.storage, device);
      let { replies } = await commit(h.storage, turn, toSend('a', 'b'));
      for (let attempt = 1; attempt <= 3; attempt++) {
        if (turn === undefined) throw new Error('not due');
        const [a, b] = replies;
        const settled = await h.storage.settle(
          device,
          turn.fence,
          [
            { id: a?.id ?? '', status: 'pending', retryMs: 60_000, error: 'graph_131056' },
            { id: b?.id ?? '', status: 'pending', untried: true },
          ],
          60_000,
        );
        expect(settled?.turn?.replies.map(({ content }) => content)).toEqual(
          attempt === 3 ? ['b'] : undefined,
        );
        if (attempt === 3) break;
        expect(await sentBy(h, device)).toEqual(['a pending', 'b pending']);
        expect(await recoverFor(h, device)).toBeUndefined();
        turn = await due(h, device);
        replies = turn?.replies ?? [];
        expect(replies.map(({ attempts }) => attempts)).toEqual([attempt + 1, 1]);
      }
      expect(await sentBy(h, device)).toEqual(['a failed', 'b sending']);
    },

  'is sent to the ids of the last message it answers': async (h) => {
    const account = newDevice();
    const from = (userId: string, content: string) =>
      message(account, { channel: 'whatsapp', content, sender: { phone: '1', userId } });
    const [accepted] = await h.storage.accept([from('A', 'one')], terms({ maxTurns: 0 }));
    if (accepted === undefined) throw new Error('nothing accepted');
    const turn = await retake(h, accepted.device);
    if (turn === undefined) throw new Error('the turn was not free');
    expect(turn.address).toEqual({ phone: '1', user_id: 'A' });
    const { replies } = await commit(h.storage, turn, toSend('a'));
    expect(replies).toMatchObject([{ address: { phone: '1', user_id: 'A' }, inWindow: true }]);
  },

  'knows whether the person wrote within the last 24 hours': async (h) => {
    for (const [hours, inWindow] of [
      [23, true],
      [25, false],
    ] as const) {
      const { device, turn, replies } = await sending(h, 'a');
      const later = all(replies, { status: 'pending' as const, retryMs: 60_000 });
      await h.storage.settle(device, turn.fence, later, 60_000);
      await h.age(device, hours * 3_600_000);
      expect((await due(h, device))?.replies).toMatchObject([{ inWindow }]);
    }
  },

  'released by a commit without anything to send lets the next message in': async (h) => {
    const { device, turn, replies } = await sending(h, 'a');
    await h.storage.settle(device, turn.fence, all(replies, { status: 'sent' }), 60_000);
    const next = await take(h.storage, device);
    expect((await commit(h.storage, next, commitOf('b'))).turn).toBeNull();
    expect(await sentBy(h, device)).toEqual(['a sent', 'b sent']);
  },
} satisfies Cases;
