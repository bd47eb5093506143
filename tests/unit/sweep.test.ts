import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createRegistry } from '../../lib/agents/registry.ts';
import { readConfig } from '../../lib/config.ts';
import { BatonError } from '../../lib/errors.ts';
import type {
  CommitResult,
  Fence,
  OutgoingReply,
  Storage,
  Turn,
} from '../../lib/storage/storage.ts';
import { createSweeper, recover } from '../../lib/sweep.ts';
import type { Frame } from '../../lib/frame.ts';
import type { TurnServices } from '../../lib/turn.ts';
import { captureLog } from '../support/logged.ts';
import { noon, plainManager, turnWith } from '../support/turns.ts';

const events = captureLog();
const nothing = { now: noon, turns: [] };

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

function servicesOn(storage: Partial<Storage>): TurnServices {
  const settings = readConfig({});
  if (!settings.ok) throw new Error(settings.mistakes.join('\n'));
  return {
    storage: storage as Storage,
    config: settings.config,
    registry: createRegistry([], plainManager),
    channelOf: () => null,
  };
}

/** The frame of a call that has this many milliseconds left. */
const frame = (left = 285_000): Frame => ({
  requestId: crypto.randomUUID(),
  endsAt: performance.now() + left,
});

const committed: CommitResult = {
  outcome: 'committed',
  now: noon,
  lock: null,
  sessionId: null,
  answered: [{ id: '1', messageId: null }],
  replies: [],
  deliver: false,
  turn: null,
};

function storageWith(...rounds: Turn[][]) {
  const answers = rounds.map((turns) => ({ now: noon, turns }));
  return {
    recover: vi.fn<Storage['recover']>(() => Promise.resolve(answers.shift() ?? nothing)),
    commit: vi.fn<Storage['commit']>(() => Promise.resolve(committed)),
    settle: vi.fn<Storage['settle']>(() => Promise.resolve({ now: noon, turn: null })),
    giveBack: vi.fn<Storage['giveBack']>(() => Promise.resolve(true)),
  };
}

describe('a sweeper', () => {
  it('looks at once', async () => {
    const look = vi.fn<Storage['recover']>(() => Promise.resolve(nothing));
    const sweep = createSweeper(servicesOn({ recover: look }));
    await sweep(frame());
    expect(look).toHaveBeenCalledTimes(1);
    expect(look.mock.calls[0]?.[0]).toMatchObject({ leaseMs: 60_000 });
  });

  it('looks twice a second, and no more, however often it is asked', async () => {
    const times: number[] = [];
    const begun = performance.now();
    const look = vi.fn<Storage['recover']>(() => {
      times.push(performance.now() - begun);
      return Promise.resolve(nothing);
    });
    const sweep = createSweeper(servicesOn({ recover: look }));
    const asked: Promise<void>[] = [];
    for (let i = 0; i < 200; i++) {
      asked.push(sweep(frame()));
      await vi.advanceTimersByTimeAsync(10);
    }
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(asked);
    expect(times).toHaveLength(5);
    for (const [index, time] of times.slice(1).entries()) {
      expect(time - (times[index] ?? 0)).toBeGreaterThanOrEqual(500);
    }
  });

  it('always looks once more after the last time it was asked', async () => {
    const looks: number[] = [];
    const sweep = createSweeper(
      servicesOn({
        recover: () => {
          looks.push(performance.now());
          return Promise.resolve(nothing);
        },
      }),
    );
    await sweep(frame());
    await vi.advanceTimersByTimeAsync(100);
    const asked = performance.now();
    const last = sweep(frame());
    await vi.advanceTimersByTimeAsync(1_000);
    await last;
    expect(looks).toHaveLength(2);
    expect(looks[1]).toBeGreaterThanOrEqual(asked);
  });

  it('looks once more also for a call that came while it was looking', async () => {
    const first = Promise.withResolvers<typeof nothing>();
    const look = vi
      .fn<Storage['recover']>()
      .mockReturnValueOnce(first.promise)
      .mockResolvedValue(nothing);
    const sweep = createSweeper(servicesOn({ recover: look }));
    const one = sweep(frame());
    await vi.advanceTimersByTimeAsync(0);
    expect(look).toHaveBeenCalledTimes(1);
    const two = sweep(frame());
    first.resolve(nothing);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all([one, two]);
    expect(look).toHaveBeenCalledTimes(2);
  });

  it('looks once more for a call that has time, whoever asked together with it', async () => {
    const look = vi.fn<Storage['recover']>(() => Promise.resolve(nothing));
    const sweep = createSweeper(servicesOn({ recover: look }));
    await sweep(frame());
    const hurried = sweep(frame(100));
    const unhurried = sweep(frame());
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all([hurried, unhurried]);
    expect(look).toHaveBeenCalledTimes(2);
  });

  it('does not look while it is still looking, however long that takes', async () => {
    const first = Promise.withResolvers<typeof nothing>();
    const look = vi
      .fn<Storage['recover']>()
      .mockReturnValueOnce(first.promise)
      .mockResolvedValue(nothing);
    const sweep = createSweeper(servicesOn({ recover: look }));
    const one = sweep(frame());
    await vi.advanceTimersByTimeAsync(0);
    expect(look).toHaveBeenCalledTimes(1);
    const two = sweep(frame());
    await vi.advanceTimersByTimeAsync(10_000);
    const whileLooking = look.mock.calls.length;
    first.resolve(nothing);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all([one, two]);
    expect(look).toHaveBeenCalledTimes(2);
    expect(whileLooking).toBe(1);
  });

  it('looks again at once after a look that was full, until nothing is left', async () => {
    const found = (fence: number) => turnWith({ fence: String(fence) as Fence });
    const rounds = [[1, 2, 3, 4], [5, 6, 7, 8], [9]].map((fences) => fences.map(found));
    const storage = storageWith(...rounds);
    const sweep = createSweeper(servicesOn(storage));
    await sweep(frame());
    expect(storage.recover.mock.calls.map(([{ maxTurns }]) => maxTurns)).toEqual([4, 4, 4]);
    expect(storage.commit).toHaveBeenCalledTimes(9);
  });

  it('works on four at a time, and on others beside them once those take ten seconds, on sixteen at most', async () => {
    const hanging = Promise.withResolvers<CommitResult>();
    let fence = 0;
    const storage = storageWith();
    storage.recover.mockImplementation(({ maxTurns }) => {
      const turns = Array.from({ length: maxTurns }, () =>
        turnWith({ fence: String(++fence) as Fence }),
      );
      return Promise.resolve({ now: noon, turns });
    });
    storage.commit.mockReturnValue(hanging.promise);
    const sweep = createSweeper(servicesOn(storage));
    const underWay: number[] = [];
    const asked: Promise<void>[] = [];
    for (const seconds of [1, 8, 2, 8, 11, 11, 11]) {
      asked.push(sweep(frame()));
      await vi.advanceTimersByTimeAsync(seconds * 1_000);
      underWay.push(fence);
    }
    expect(underWay).toEqual([4, 4, 4, 8, 8, 12, 16]);
    asked.push(sweep(frame()));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(fence).toBe(16);
    storage.recover.mockResolvedValue(nothing);
    hanging.resolve(committed);
    await Promise.all(asked);
  });

  it('never rejects: a storage that is away is a warning, and the next look is made', async () => {
    const look = vi
      .fn<Storage['recover']>()
      .mockRejectedValueOnce(new BatonError('storage_unavailable', 'The database is away'))
      .mockResolvedValue(nothing);
    const sweep = createSweeper(servicesOn({ recover: look }));
    await expect(sweep(frame())).resolves.toBeUndefined();
    expect(events).toMatchObject([
      { level: 'warn', event: 'sweep_failed', code: 'storage_unavailable' },
    ]);
    const next = sweep(frame());
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(next).resolves.toBeUndefined();
    expect(look).toHaveBeenCalledTimes(2);
  });

  it('never rejects: not even for a storage that throws at once', async () => {
    const sweep = createSweeper(
      servicesOn({
        recover: () => {
          throw new TypeError('no such method');
        },
      }),
    );
    await expect(sweep(frame())).resolves.toBeUndefined();
    expect(events).toMatchObject([{ event: 'sweep_failed', error: 'TypeError' }]);
  });
});

describe('recover', () => {
  const reply = (id: string): OutgoingReply => ({
    id,
    messageId: null,
    role: 'assistant',
    content: 'x',
    agent: 'manager',
    metadata: {},
    sentAt: noon,
    createdAt: noon,
    attempts: 1,
    address: {},
    inWindow: true,
  });

  it('answers what waits and sends what is due, round after round, until nothing is left', async () => {
    const waiting = turnWith({ fence: '1' as Fence });
    const due = turnWith({ fence: '2' as Fence, messages: [], replies: [reply('a'), reply('b')] });
    const late = turnWith({ fence: '3' as Fence });
    const storage = storageWith([waiting, due], [late]);
    expect(await recover(servicesOn(storage), frame())).toEqual({ turns: 2, replies: 2 });
    expect(storage.recover).toHaveBeenCalledTimes(3);
    expect(storage.commit.mock.calls.map(([, fence]) => fence)).toEqual(['1', '3']);
    expect(storage.settle.mock.calls.map(([, fence]) => fence)).toEqual(['2']);
  });

  it("takes each round's turns under a name of its own, a few at a time", async () => {
    const storage = storageWith([turnWith()]);
    await recover(servicesOn(storage), frame());
    const terms = storage.recover.mock.calls.map(([each]) => each);
    expect(new Set(terms.map(({ requestId }) => requestId)).size).toBe(2);
    for (const { maxTurns, leaseMs } of terms) expect([maxTurns, leaseMs]).toEqual([4, 60_000]);
  });

  it("looks for nothing once the frame's time is up", async () => {
    const storage = storageWith([turnWith()]);
    expect(await recover(servicesOn(storage), frame(0))).toEqual({ turns: 0, replies: 0 });
    expect(storage.recover).not.toHaveBeenCalled();
  });

  it('gives back what it has no time left for: messages as waiting, replies as untried', async () => {
    const waiting = turnWith({ fence: '8' as Fence });
    const due = turnWith({ fence: '9' as Fence, messages: [], replies: [reply('a'), reply('b')] });
    const storage = storageWith([waiting, due]);
    storage.recover.mockImplementationOnce(() => {
      vi.advanceTimersByTime(2_000);
      return Promise.resolve({ now: noon, turns: [waiting, due] });
    });
    await recover(servicesOn(storage), frame(6_000));
    expect(storage.recover).toHaveBeenCalledTimes(1);
    expect(storage.giveBack.mock.calls.map(([, fence]) => fence)).toEqual(['8']);
    expect(storage.commit).not.toHaveBeenCalled();
    const untried = ['a', 'b'].map((id) => ({ id, status: 'pending', untried: true }));
    // a lease of 0 ms: no other turn is taken
    expect(storage.settle.mock.calls.map((call) => call.slice(1))).toEqual([['9', untried, 0]]);
  });
});
