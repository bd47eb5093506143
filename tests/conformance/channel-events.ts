import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const DAY = 86_400_000;

/** What a channel tells beside messages to answer: reactions, colleagues, deletions, deliveries. */
export function channelEventPromises(open: () => Promise<Harness>): void {
  let h: Harness;
  beforeAll(async () => {
    h = await open();
  });
  afterAll(() => h.close());

  const accept = async (device: DeviceId, ...some: Partial<IncomingMessage>[]) => {
    const messages = some.map((one) => message(device, one));
    const [accepted] = await h.storage.accept(messages, terms());
    if (accepted === undefined) throw new Error('no device');
    return accepted;
  };
  const history = async (device: DeviceId) =>
    (await h.messages(device)).map(({ seq, role, content, status }) => [
      seq,
      role,
      content,
      status,
    ]);

  describe('a message without a turn', () => {
    it('enters the history at once, and is handed to nobody', async () => {
      const device = newDevice();
      const { turn, waiting } = await accept(device, { content: 'a thumb', turn: false });
      expect({ turn, waiting }).toEqual({ turn: null, waiting: false });
      const next = await accept(device, { content: 'hello' });
      expect(next.turn?.messages.map(({ content }) => content)).toEqual(['hello']);
      expect(next.turn?.history.map(({ content }) => content)).toEqual(['a thumb']);
      expect(await history(device)).toEqual([
        [1, 'user', 'a thumb', 'recorded'],
        [null, 'user', 'hello', 'waiting'],
      ]);
    });

    it('between messages of one body leaves them their turn, and stands in the order of its clock', async () => {
      const device = newDevice();
      const accepted = await accept(
        device,
        { content: 'one' },
        { content: 'second', turn: false },
        { content: 'first', turn: false, sentAt: new Date(Date.now() - 60_000) },
        { content: 'two' },
      );
      expect(accepted.turn?.messages.map(({ content }) => content)).toEqual(['one', 'two']);
      expect(accepted.messages.map(({ status }) => status)).toEqual([
        'waiting',
        'recorded',
        'recorded',
        'waiting',
      ]);
      expect((await history(device)).slice(0, 2)).toEqual([
        [1, 'user', 'first', 'recorded'],
        [2, 'user', 'second', 'recorded'],
      ]);
    });

    it('is what one becomes that was sent longer ago than it may be answered, to the second', async () => {
      const device = newDevice();
      const { now } = await h.storage.ping();
      const sent = (age: number) => ({
        sentAt: new Date(now.getTime() - age),
        answerWithin: DAY / 1_000,
      });
      const late = await accept(device, { content: 'late', ...sent(DAY + 1) });
      expect(late.turn).toBeNull();
      const just = await accept(device, { content: 'just in time', ...sent(DAY - 60_000) });
      expect(just.turn?.messages.map(({ content }) => content)).toEqual(['just in time']);
    });
  });

  describe('a redelivery', () => {
    it('does not open a session, nor prolong one', async () => {
      const device = newDevice();
      const said = { externalId: 'm' };
      const first = await accept(device, said);
      if (first.turn === null) throw new Error('not free');
      await commit(h.storage, first.turn, commitOf('answer'));
      await h.shift(device, { session: 0 });
      const again = await accept(device, said);
      expect(again.messages).toMatchObject([{ duplicate: true, status: 'answered' }]);
      const next = await accept(device, {});
      expect(next.turn?.sessionId).not.toBe(first.turn.sessionId);
      expect(next.turn?.history).toEqual([]);
    });
  });

  describe('a colleague who answers', () => {
    const echo = (ttlSeconds: number | null, some: Partial<IncomingMessage> = {}) => ({
      byHuman: { ttlSeconds },
      content: 'I take over',
      ...some,
    });

    it('holds the conversation, stands in the history as human, and takes the turn from whoever works on it', async () => {
      const device = newDevice();
      const turn = await take(h.storage, device, { content: 'question' });
      const { lock, turn: none } = await accept(device, echo(3_600));
      expect(none).toBeNull();
      expect(lock).toMatchObject({ agent: 'human', sessionTtl: 3_600 });
      const late = await h.storage.commit(device, turn.fence, 'builtin', commitOf('late'), 1_000);
      expect(late.outcome).toBe('lost');
      expect(await history(device)).toEqual([
        [1, 'assistant', 'I take over', 'recorded'],
        [2, 'user', 'question', 'recorded'],
      ]);
      expect((await accept(device, { content: 'thanks' })).turn).toBeNull();
    });

    it('renews the hold with each answer, and a redelivery does not', async () => {
      const device = newDevice();
      await accept(device, echo(3_600, { externalId: 'e1' }));
      await h.shift(device, { lock: 1_000 });
      await accept(device, echo(3_600, { externalId: 'e1' }));
      const soon = (await h.storage.getLock(device)).lock;
      await accept(device, echo(3_600, { externalId: 'e2' }));
      const later = (await h.storage.getLock(device)).lock;
      expect(later?.version).toBe(soon?.version);
      const gained = (later?.expiresAt.getTime() ?? 0) - (soon?.expiresAt.getTime() ?? 0);
      expect(gained).toBeGreaterThan(3_500_000);
    });

    it('does not cut an operator’s longer hold short', async () => {
      const device = newDevice();
      await h.storage.setLock(device, { agent: 'human', ttlSeconds: 86_400 }, { kind: 'none' });
      const { lock } = await accept(device, echo(60));
      expect(lock?.sessionTtl).toBe(86_400);
    });

    it('is only noted where nothing is taken over, or it was too long ago', async () => {
      const device = newDevice();
      const { now } = await h.storage.ping();
      const { lock } = await accept(
        device,
        echo(null),
        echo(60, { sentAt: new Date(now.getTime() - 2 * DAY), answerWithin: 86_400 }),
      );
      expect(lock).toBeNull();
      expect((await history(device)).map(([, , , status]) => status)).toEqual([
        'recorded',
        'recorded',
      ]);
    });
  });

  it('a message that was taken back is marked where it is known, and nowhere else', async () => {
    const device = newDevice();
    const turn = await take(h.storage, device, { externalId: 'm', metadata: { kind: 'text' } });
    await commit(h.storage, turn, commitOf('answer'));
    const stranger = newDevice();
    await accept(stranger, { revokes: 'm', account: device, turn: false });
    await accept(device, { revokes: 'unknown', turn: false });
    expect((await take(h.storage, device)).history[0]?.metadata).toEqual({ kind: 'text' });
    await accept(device, { revokes: 'm', turn: false });
    const again = (await h.storage.accept([message(device)], terms()))[0];
    expect(again?.turn).toBeNull();
    await h.shift(device, { turn: 0 });
    const [seen] = (await h.storage.next([device], terms())).turns;
    expect(seen?.history[0]?.metadata).toEqual({ kind: 'text', deleted: true });
  });

  describe('a status', () => {
    const channel = 'whatsapp';
    const send = async (device: DeviceId, ...replies: string[]) => {
      const turn = await take(h.storage, device, { channel, account: 'n' });
      const written = await commit(h.storage, turn, { ...commitOf(...replies), deliver: true });
      return { fence: turn.fence, ids: written.replies.map(({ id }) => id) };
    };
    const note = (...statuses: Partial<ReplyStatus>[]) =>
      h.storage.noteStatuses(
        channel,
        statuses.map((one) => ({
          account: 'n',
          externalId: 'wamid.unknown',
          replyId: null,
          status: 'sent',
          ...one,
        })),
      );
    const replies = async (device: DeviceId) =>
      (await h.messages(device))
        .filter(({ role }) => role === 'assistant')
        .map(({ status, externalId }) => [status, externalId]);

    it('may come before the sender settles, by the reply’s own id, and stands', async () => {
      const device = newDevice();
      const { fence, ids } = await send(device, 'a');
      const [id = ''] = ids;
      expect(await note({ replyId: id, externalId: 'wamid.1', status: 'delivered' })).toMatchObject(
        { known: 1 },
      );
      await h.storage.settle(device, fence, [{ id, status: 'unknown' }], 60_000);
      expect(await replies(device)).toEqual([['delivered', 'wamid.1']]);
    });

    it('only moves forward, in whatever order and however often it comes', async () => {
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
    });

    it('tells of a reply whose answer was lost, which is then not sent again, and lets the next one go', async () => {
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
    });

    it('of a failure that passes brings the reply back, and the failed attempt says nothing of the next', async () => {
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
    });

    it('of nobody’s reply, or at another number, changes nothing', async () => {
      const device = newDevice();
      const { ids } = await send(device, 'a');
      const [id = ''] = ids;
      expect(await note({}, { replyId: id, account: 'other' })).toMatchObject({ known: 0 });
      expect(await note()).toMatchObject({ known: 0 });
      expect(await replies(device)).toEqual([['sending', null]]);
    });
  });

  describe('the 24 hours', () => {
    const turnOf = async (age: number) => {
      const device = newDevice();
      const { now } = await h.storage.ping();
      const turn = await take(h.storage, device, {
        channel: 'whatsapp',
        account: 'n',
        sentAt: new Date(now.getTime() - age),
      });
      return { device, turn };
    };
    const inWindow = async ({ turn }: Awaited<ReturnType<typeof turnOf>>) => {
      const { replies } = await commit(h.storage, turn, { ...commitOf('a'), deliver: true });
      return replies.map((reply) => reply.inWindow);
    };

    it('are counted from what the person sent, by the storage’s clock', async () => {
      expect(await inWindow(await turnOf(DAY - 60_000))).toEqual([true]);
      expect(await inWindow(await turnOf(DAY))).toEqual([false]);
    });

    it('begin anew with anything the person sends, answered or not, over the same number', async () => {
      const late = await turnOf(DAY);
      const other = await turnOf(DAY);
      await accept(late.device, { channel: 'whatsapp', account: 'n', turn: false });
      await accept(other.device, { channel: 'web', turn: false });
      expect(await inWindow(late)).toEqual([true]);
      expect(await inWindow(other)).toEqual([false]);
    });
  });
}
