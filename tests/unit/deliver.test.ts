import { describe, expect, it } from 'vitest';
import type { Channel } from '../../lib/channels/channel.ts';
import { deliver, type Due, takeDue } from '../../lib/deliver.ts';
import type { Lease } from '../../lib/lease.ts';
import type {
  Delivery,
  DeviceId,
  OutgoingReply,
  Storage,
  Turn,
} from '../../lib/storage/storage.ts';
import { captureLog } from '../support/logged.ts';
import { device, noon, turnWith } from '../support/turns.ts';

const events = captureLog();
const HOUR = 3_600_000;
const frameOf = (left: number) => ({ requestId: 'r', endsAt: performance.now() + left });

const replies = (...ids: string[]): OutgoingReply[] =>
  ids.map((id) => ({
    id,
    messageId: null,
    role: 'assistant',
    content: `reply ${id}`,
    agent: null,
    metadata: {},
    sentAt: noon,
    createdAt: noon,
    attempts: 1,
    address: {},
    inWindow: true,
  }));

/** Delivers a, b and c, whose sends end as told, and gives what was noted. */
async function run({
  ends = {},
  holds = () => true,
  left = HOUR,
  next = null,
  lost = false,
  channel = true,
}: {
  ends?: Record<string, Partial<Delivery>>;
  holds?: (sent: string[]) => boolean;
  left?: number;
  next?: Turn | null;
  lost?: boolean;
  channel?: boolean;
} = {}) {
  const sent: string[] = [];
  const settled: { deliveries: Delivery[]; leaseMs: number }[] = [];
  const due: Due[] = [];
  const storage: Partial<Storage> = {
    settle(_device, _fence, deliveries, leaseMs) {
      settled.push({ deliveries, leaseMs });
      return Promise.resolve(lost ? null : { now: noon, turn: next });
    },
  };
  const way: Partial<Channel> = {
    send({ id }) {
      sent.push(id);
      return Promise.resolve({ id, status: 'sent', ...ends[id] });
    },
  };
  const lease: Partial<Lease> = { holds: () => holds(sent), length: () => 60_000 };
  const goesOn = await deliver(
    { storage: storage as Storage, channelOf: () => (channel ? (way as Channel) : null) },
    turnWith(),
    replies('a', 'b', 'c'),
    lease as Lease,
    frameOf(left),
    { delayed: (one) => void due.push(one) },
  );
  return { sent, noted: settled[0]?.deliveries, leaseMs: settled[0]?.leaseMs, due, goesOn };
}

const untried = (id: string) => ({ id, status: 'pending', untried: true });

describe('delivery', () => {
  it('sends in order and notes each', async () => {
    const { sent, noted, due } = await run({ ends: { b: { status: 'failed', error: 'graph_1' } } });
    expect(sent).toEqual(['a', 'b', 'c']);
    expect(noted).toEqual([
      { id: 'a', status: 'sent' },
      { id: 'b', status: 'failed', error: 'graph_1' },
      { id: 'c', status: 'sent' },
    ]);
    expect(due).toEqual([]);
  });

  it.each(['pending', 'unknown'] as const)(
    'stops at one that is %s: nothing may overtake it, and what is behind it was not tried',
    async (status) => {
      const { sent, noted } = await run({ ends: { b: { status, error: 'e' } } });
      expect(sent).toEqual(['a', 'b']);
      expect(noted).toEqual([
        { id: 'a', status: 'sent' },
        { id: 'b', status, error: 'e' },
        untried('c'),
      ]);
    },
  );

  it('tells when to try again, counted from when it was noted', async () => {
    const before = performance.now();
    const { due } = await run({ ends: { a: { status: 'pending', retryMs: 4_000 } } });
    expect(due).toHaveLength(1);
    expect(due[0]?.device).toBe(device);
    expect(due[0]?.at).toBeGreaterThanOrEqual(before + 4_000);
    expect(due[0]?.at).toBeLessThan(performance.now() + 4_100);
  });

  it('has nothing to try again where the turn was lost', async () => {
    const { due, goesOn } = await run({
      ends: { a: { status: 'pending', retryMs: 4_000 } },
      lost: true,
    });
    expect([due, goesOn]).toEqual([[], null]);
    expect(events).toMatchObject([{ level: 'warn', event: 'settle_too_late' }]);
  });

  it('sends nothing past the lease, for somebody else may be sending', async () => {
    const { sent, noted } = await run({ holds: (already) => already.length < 1 });
    expect(sent).toEqual(['a']);
    expect(noted).toEqual([{ id: 'a', status: 'sent' }, untried('b'), untried('c')]);
  });

  it('over a channel that is no more, nothing is tried', async () => {
    const { sent, noted } = await run({ channel: false });
    expect([sent, noted]).toEqual([[], ['a', 'b', 'c'].map(untried)]);
  });

  it('goes on with the turn that SETTLE kept, and asks for none near the end of the function', async () => {
    const next = turnWith();
    const kept = await run({ next });
    expect([kept.goesOn?.turn, kept.leaseMs]).toEqual([next, 60_000]);
    expect((await run({ left: 1_000 })).leaseMs).toBe(0);
  });
});

describe('what is due again', () => {
  const at = (name: string, inMs: number): Due => ({
    device: name as DeviceId,
    at: performance.now() + inMs,
  });
  const take =
    (free: string[], asked: string[] = []) =>
    (name: DeviceId) => {
      asked.push(name);
      return Promise.resolve(free.includes(name) ? name : null);
    };

  it('is taken in its order, each once', async () => {
    const due = [at('b', -1), at('a', -2), at('c', 1)];
    const free = ['a', 'b', 'c'];
    const taken: (DeviceId | null)[] = [];
    for (let i = 0; i < 4; i++) taken.push(await takeDue(due, take(free), frameOf(HOUR)));
    expect(taken).toEqual(['a', 'b', 'c', null]);
  });

  it('is passed by where somebody else has taken it', async () => {
    const asked: string[] = [];
    const due = [at('a', -2), at('b', -1)];
    expect(await takeDue(due, take(['b'], asked), frameOf(HOUR))).toBe('b');
    expect(asked).toEqual(['a', 'b']);
  });

  it('is left to the sweep where the function ends before', async () => {
    const asked: string[] = [];
    expect(await takeDue([at('a', 64_000)], take(['a'], asked), frameOf(60_000))).toBeNull();
    expect(await takeDue([at('a', -1)], take(['a'], asked), frameOf(4_000))).toBeNull();
    expect(asked).toEqual([]);
  });

  it('is nothing where nothing is', async () => {
    expect(await takeDue([], take(['a']), frameOf(HOUR))).toBeNull();
  });
});
