import { describe, expect, it } from 'vitest';
import { type DeviceId, type Fence } from '../../../lib/storage/storage.ts';
import type { Call, Evidence } from '../../histories/history.ts';
import { finds, sound, told } from './judge.ts';
import {
  at,
  accept,
  call,
  commit,
  evidence,
  here,
  LEASE,
  question,
  reply,
  there,
  turn,
  lost,
  asked,
  answered,
  rows,
  more,
} from './scene.ts';

// Each scene is sound but for what the test's name says, and has a sound twin where it is not plain what makes it so.

describe('the tables', () => {
  it('a number is missing, or the last one is not known', () => {
    finds(
      'order: 3 stands where 2 should',
      [asked, answered],
      [question('1', 1, 5), reply('2', '1', 3, 5)],
    );
    const devices = [{ device: here, agent: null, lastSeq: 3, state: null }];
    finds('order: the last number is 3, of 2 rows', [asked, answered], rows, { devices });
  });

  it('something is with another device', () => {
    const foreign = (some: Partial<Evidence['dump']>) =>
      told(evidence([asked, answered], rows, some));
    const device = { device: here, agent: null, lastSeq: 2, state: null };
    expect(foreign({ devices: [{ ...device, state: { device: there } }] })).toEqual([
      'device: holds a foreign state',
    ]);
    expect(foreign({ devices: [{ ...device, agent: `${there} 1` }] })).toEqual([
      'device: is held by a foreign agent',
    ]);
    const event = {
      device: here,
      agent: `${there} 1`,
      startedAt: 1,
      endedAt: 2,
      reason: 'cleared',
    };
    expect(foreign({ events: [event] })).toEqual(['device: was held by a foreign agent']);
    finds(
      'device: holds the foreign message 3',
      [asked, answered],
      more(reply('3', '1', 3, 5, { device: there })),
    );
    const stranger = 'cccccccc-0000-4000-8000-000000000003' as DeviceId;
    finds(
      'device: holds the foreign message 3',
      [asked, answered],
      more(reply('3', '1', 3, 5, { device: stranger })),
    );
  });

  it('a turn shows what belongs to another', () => {
    const shows = (some: Parameters<typeof turn>[3]) =>
      told(evidence([accept(10, '1', { turn: turn(10, 5, ['1'], some) }), answered], rows));
    expect(shows({ state: { device: here } })).toEqual([]);
    expect(shows({ state: { device: there } })).toEqual([
      'device: a turn shows what belongs to another',
    ]);
  });
});

describe('deliveries', () => {
  const sending = commit(30, 5, ['1'], { deliver: true });
  const settle = (status: 'sent' | 'unknown') =>
    call('settle', 40, [here, '5' as Fence, [{ id: '2', status }], LEASE], {
      now: at(40),
      turn: null,
    });
  const outgoing = { ...turn(0, 0, ['2']).messages[0], attempts: 2, address: {}, inWindow: true };
  const again = call('recover', 300, [{ requestId: 'r', leaseMs: LEASE, maxTurns: 1 }], {
    now: at(300),
    turns: [turn(300, 6, [], { replies: [outgoing as never] })],
  });

  it('a reply that is out is to be sent again', () => {
    finds(
      'delivery: the settled reply 2 is to be sent again',
      [asked, sending, settle('sent'), again],
      rows,
    );
    sound([asked, sending, settle('unknown'), again], rows);
  });

  it('a reply is never settled', () => {
    const left = [question('1', 1, 5), reply('2', '1', 2, 5, { status: 'unknown' })];
    finds('delivery: the reply 2 is still unknown', [asked, answered], left);
  });
});

describe('states', () => {
  const patch = (ms: number, value: number) =>
    call('patchState', ms, [here, { worker0: value }, { kind: 'none' }], { written: false });
  const holding = (worker0: number) => ({
    devices: [{ device: here, agent: null, lastSeq: 0, state: { device: here, worker0 } }],
  });

  it('a write is lost', () => {
    sound([patch(10, 1), patch(20, 2)], [], holding(2));
    finds('state: worker0 is 1, last written was 2', [patch(10, 1), patch(20, 2)], [], holding(1));
  });

  it('one without an answer may have been written, one that is over may not come back', () => {
    sound([patch(10, 1), lost(patch(20, 2))], [], holding(1));
    sound([patch(10, 1), lost(patch(20, 2))], [], holding(2));
    finds(
      'state: worker0 is 1, last written was 2',
      [lost(patch(10, 1)), patch(20, 2)],
      [],
      holding(1),
    );
  });
});

it('takes no failure but that of the storage being away', () => {
  const failed = (code: string) =>
    ({ ...call('cleanUp', 10, [20], null as never), result: { known: false, code } }) as Call;
  sound([failed('storage_unavailable')]);
  finds('refusal: cleanUp failed with internal_error', [failed('internal_error')]);
});
