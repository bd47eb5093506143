import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Command, Terms } from './commands.ts';
import { replay } from './replay.ts';
import { type Movable, openMovablePostgres } from './sides.ts';

const terms: Terms = { request: 0, lane: 'builtin', maxTurns: 4, leaseMs: 60_000 };
const keep = { lock: { do: 'keep' } } as const;

/** What the model has found, and what each script showed: played again, so that it stays mended. */
describe('what was found', () => {
  let postgres: Movable;
  beforeAll(async () => {
    postgres = await openMovablePostgres();
  });
  afterAll(() => postgres.close());

  /** Every command of it does something. */
  const plays = async (...script: Command[]) =>
    expect(await replay(postgres, script)).toBe(script.length);

  it('a commit sent again was told that the turn is lost, once the other lane had taken it', () =>
    plays(
      { do: 'accept', said: [{ who: { device: 0 }, id: 0 }], ...terms, lane: 'external' },
      { do: 'commit', turn: 0, content: { replies: 1, deliver: false, ...keep }, leaseMs: 60_000 },
      { do: 'accept', said: [{ who: { device: 0 }, id: 1 }], ...terms },
      { do: 'commit again', turn: 1, leaseMs: 60_000 },
    ));

  it('a device that only looked like work took the place of one where something waits', () =>
    plays(
      { do: 'accept', said: [{ who: { device: 0 }, id: 0 }], ...terms },
      { do: 'commit', turn: 0, content: { replies: 1, deliver: true, ...keep }, leaseMs: 1_000 },
      { do: 'accept', said: [{ who: { device: 1 }, id: 1 }], ...terms, maxTurns: 0 },
      { do: 'wait', ms: 2_000 },
      { do: 'next', devices: [0, 1], ...terms, request: 1, maxTurns: 1 },
    ));

  it('a repeated call broke where the channel had told of every reply before its worker did', () =>
    plays(
      { do: 'accept', said: [{ who: { device: 0 }, id: 0 }], ...terms },
      { do: 'commit', turn: 0, content: { replies: 1, deliver: true, ...keep }, leaseMs: 60_000 },
      { do: 'note statuses', told: [{ reply: 0, status: 'sent', byId: true, attempt: 0 }] },
      { do: 'accept', said: [{ who: { device: 0 }, id: 1 }], ...terms },
    ));

  it('a full batch of old holdings was not said to be one, and the rest stayed', () =>
    plays(
      { do: 'set lock', device: 0, agent: 'billing', ttl: 1, guard: 'none' },
      { do: 'set lock', device: 0, agent: 'scheduling', ttl: 1, guard: 'none' },
      { do: 'set lock', device: 0, agent: 'billing', ttl: 1, guard: 'none' },
      { do: 'wait', ms: 6 * 86_400_000 },
      { do: 'clean up', batch: 1 },
    ));

  it('a name was looked at before all else of its device was gone, and kept for another retention', () =>
    plays(
      {
        do: 'accept',
        said: [
          { who: { device: 1 }, id: 39 },
          { who: { device: 0 }, id: 28, sent: -1000 },
        ],
        ...terms,
        leaseMs: 1,
      },
      {
        do: 'accept',
        said: [
          {
            who: { phone: '2', userId: 'C' },
            id: 26,
            turn: false,
            becomes: { phone: '1', userId: null },
          },
        ],
        ...terms,
      },
      { do: 'wait until', nth: 3, off: -1 },
      { do: 'wait until', nth: 3, off: 1 },
      { do: 'clean up', batch: 1 },
      { do: 'accept', said: [{ who: { phone: '1', userId: null }, id: 36 }], ...terms },
    ));

  it('when a fall is noted is not what is compared: a reply behind one that rests was looked at by the model alone', () =>
    plays(
      { do: 'accept', said: [{ who: { device: 0 }, id: 0 }], ...terms },
      { do: 'commit', turn: 0, content: { replies: 2, deliver: true, ...keep }, leaseMs: 60_000 },
      {
        do: 'note statuses',
        told: [{ reply: 0, status: 'failed', byId: true, attempt: 1, retryMs: 600_000 }],
      },
      { do: 'wait', ms: 60_000 },
      { do: 'recover', maxTurns: 1, leaseMs: 1 },
    ));

  it('a key that was eight days old went with its session in one storage, and with the clean-up in the other', () =>
    plays(
      {
        do: 'accept',
        said: [
          { who: { device: 0 }, id: 0 },
          { who: { device: 0 }, id: 1, answerWithin: 1, sent: -1_000 },
        ],
        ...terms,
        maxTurns: 0,
      },
      { do: 'wait', ms: 6 * 86_400_000 },
      { do: 'clean up', batch: 1_000 },
      { do: 'wait', ms: 2 * 86_400_000 },
      { do: 'delete session', session: 0, includeExpired: true, owner: 0 },
    ));
});
