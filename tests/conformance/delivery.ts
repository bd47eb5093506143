import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const toSend = (...replies: string[]) => ({ ...commitOf(...replies), deliver: true });

export function deliveryPromises(open: () => Promise<Harness>): void {
  describe('delivery', () => {
    let h: Harness;
    beforeAll(async () => {
      h = await open();
    });
    afterAll(() => h.close());

    const recoverFor = async (device: DeviceId): Promise<Turn | undefined> => {
      const { turns } = await h.storage.recover({
        requestId: String(Math.random()),
        leaseMs: 60_000,
        maxTurns: 100,
      });
      return turns.find((turn) => turn.device === device);
    };
    const statuses = async (device: DeviceId) =>
      (await h.messages(device))
        .filter(({ role }) => role === 'assistant')
        .map(({ content, status }) => `${content} ${status}`);

    it('holds the turn from commit to settle, so that nobody else sends meanwhile', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      const result = await commit(h.storage, turn, toSend('a', 'b'));
      expect(result).toMatchObject({ deliver: true, turn: null });
      expect(await statuses(device)).toEqual(['a sending', 'b sending']);
      const [queued] = await h.storage.accept([message(device, { content: 'more' })], terms());
      expect(queued?.turn).toBeNull();
      const [a, b] = result.replies;
      const settled = await h.storage.settle(
        device,
        turn.fence,
        [
          { id: a?.id ?? '', status: 'sent', externalId: 'wamid.a' },
          { id: b?.id ?? '', status: 'failed', error: 'graph_131026' },
        ],
        60_000,
      );
      expect(settled?.turn?.messages.map(({ content }) => content)).toEqual(['more']);
      expect(await statuses(device)).toEqual(['a sent', 'b failed']);
      expect((await h.messages(device)).find(({ content }) => content === 'a')?.externalId).toBe(
        'wamid.a',
      );
    });

    it('without a reply ends with the commit', async () => {
      const device = newDevice();
      expect(await commit(h.storage, await take(h.storage, device), toSend())).toMatchObject({
        deliver: false,
        turn: null,
      });
      expect((await h.storage.accept([message(device)], terms()))[0]?.turn).not.toBeNull();
    });

    it('settled twice returns the same turn, and lost the turn to another writes nothing', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      await commit(h.storage, turn, toSend('a'));
      await h.storage.accept([message(device)], terms());
      const first = await h.storage.settle(device, turn.fence, [], 60_000);
      const second = await h.storage.settle(device, turn.fence, [], 60_000);
      expect(second?.turn).toEqual(first?.turn);
      expect(await statuses(device)).toEqual(['a unknown']);
    });

    it('that a worker fell in the middle of is reported as unknown, and tried again only after RESEND_AFTER', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device);
      const { replies } = await commit(h.storage, turn, toSend('a', 'b'));
      await h.shift(device, { turn: 0 });
      expect(await recoverFor(device)).toBeUndefined();
      expect(await statuses(device)).toEqual(['a unknown', 'b unknown']);
      expect(await recoverFor(device)).toBeUndefined();
      await h.shift(device, { unsettled: 0 });
      const again = await recoverFor(device);
      expect(again).toMatchObject({
        messages: [],
        replies: [
          { content: 'a', attempts: 2 },
          { content: 'b', attempts: 2 },
        ],
      });
      expect(again?.replies.map(({ id }) => id)).toEqual(replies.map(({ id }) => id));
      const late = await h.storage.settle(
        device,
        turn.fence,
        [{ id: replies[0]?.id ?? '', status: 'failed' }],
        60_000,
      );
      expect(late).toBeNull();
      const deliveries = replies.map(({ id }) => ({ id, status: 'sent' as const }));
      expect(
        again && (await h.storage.settle(device, again.fence, deliveries, 60_000))?.turn,
      ).toBeNull();
      expect(await statuses(device)).toEqual(['a sent', 'b sent']);
    });

    it('never lets a later reply overtake one whose fate is unknown: it is written, and sent behind it', async () => {
      const device = newDevice();
      const first = await take(h.storage, device);
      const { replies } = await commit(h.storage, first, toSend('a'));
      await h.storage.settle(
        device,
        first.fence,
        [{ id: replies[0]?.id ?? '', status: 'unknown' }],
        60_000,
      );
      const second = await take(h.storage, device);
      expect(await commit(h.storage, second, toSend('b'))).toMatchObject({ deliver: false });
      expect(await statuses(device)).toEqual(['a unknown', 'b pending']);
      expect(await recoverFor(device)).toBeUndefined();
      await h.shift(device, { unsettled: 0 });
      expect((await recoverFor(device))?.replies.map(({ content }) => content)).toEqual(['a', 'b']);
    });

    it('tries a refused reply again when it is due, and gives up after MAX_ATTEMPTS; an untried one does not count', async () => {
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
        expect(await statuses(device)).toEqual(['a pending', 'b pending']);
        expect(await recoverFor(device)).toBeUndefined();
        await h.shift(device, { unsettled: 0 });
        turn = await recoverFor(device);
        replies = turn?.replies ?? [];
        expect(replies.map(({ attempts }) => attempts)).toEqual([attempt + 1, 1]);
      }
      expect(await statuses(device)).toEqual(['a failed', 'b sending']);
    });
  });
}
