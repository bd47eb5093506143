import { describe, it } from 'vitest';
import { type Fence, HUMAN } from '../../../lib/storage/storage.ts';
import type { Call } from '../../histories/history.ts';
import { finds, sound } from './judge.ts';
import {
  at,
  accept,
  call,
  commit,
  here,
  LEASE,
  lock,
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

const after = (...calls: Call[]): Call[] => [asked, answered, ...calls];

describe('fences', () => {
  const second = (ms: number, fence: number, some = {}) =>
    accept(ms, '3', { turn: turn(ms, fence, ['3'], some) });
  const both = (fence: number) => more(question('3', 3, fence), reply('4', '3', 4, fence));

  it('one is given twice', () => {
    const other = turn(50, 5, [], { device: there });
    finds(
      'fence: two turns have the fence 5',
      after(accept(50, '3', { device: there, turn: other })),
      rows,
    );
    // the same call finds its turn again
    const again = accept(10, '1', { turn: turn(10, 5, ['1']) }, { duplicate: true });
    sound([asked, again, answered], rows);
  });

  it('one falls', () => {
    sound([asked, answered, second(50, 6), commit(60, 6, ['3'])], both(6));
    finds(
      'fence: the fence 4 was given after 5',
      [asked, answered, second(50, 4), commit(60, 4, ['3'])],
      both(4),
    );
  });

  it('a worker that was overtaken writes', () => {
    const overtaken = [asked, second(150, 6), commit(160, 5, ['1'])];
    finds('fence: commit with the fence 5 was taken after 6 was given', overtaken, rows);
    // which it may, if the answer is that of an earlier try
    const repeated: Call = { ...commit(160, 5, ['1']), broken: [{ from: 30, to: 40 }] };
    sound([asked, repeated, second(150, 6), commit(170, 6, ['3'])], both(6));
  });

  it.each([
    [
      'extend',
      call('extend', 160, [here, '5' as Fence, 'builtin', LEASE], {
        now: at(160),
        expiresAt: at(260),
      }),
    ],
    ['settle', call('settle', 160, [here, '5' as Fence, [], LEASE], { now: at(160), turn: null })],
    ['fail', call('fail', 160, [here, '5' as Fence, 'Error'], { now: at(160), retryAt: null })],
    ['giveBack', call('giveBack', 300, [here, '5' as Fence, 'builtin'], true)],
  ] as const)('%s is taken from a worker that was overtaken', (kind, late) => {
    const taken = `fence: ${kind} with the fence 5 was taken after 6 was given`;
    finds(taken, [asked, second(150, 6), late], rows);
  });

  it('rows are not in the order of their fences', () => {
    const swapped = [
      question('3', 1, 6),
      reply('4', '3', 2, 6),
      question('1', 3, 5),
      reply('2', '1', 4, 5),
    ];
    finds(
      'fence: row 3 of 5 comes after rows of 6',
      [asked, answered, second(50, 6), commit(60, 6, ['3'])],
      swapped,
    );
  });

  it('a write that was refused has left rows', () => {
    const args = answered.args as Parameters<typeof call<'commit'>>[2];
    const refused = call('commit', 30, args, { outcome: 'lost', now: at(30) });
    finds('fence: row 1 has the fence 5, whose writes were refused', [asked, refused], rows);
  });
});

describe('holders', () => {
  const next = (ms: number) => accept(ms, '3', { turn: turn(ms, 6, ['3']) });
  const fate = [commit(900, 6, ['3'])];
  const all = more(question('3', 3, 6), reply('4', '3', 4, 6));
  const held = (early: number) => `holder: 6 has the turn ${early} ms before 5 lost it`;
  /** The first turn comes to nothing; its message is answered by the next. */
  const retaken = [
    question('1', 1, 6),
    question('3', 2, 6),
    reply('2', '1', 3, 6),
    reply('4', '3', 4, 6),
  ];
  const retake = (ms: number) => accept(ms, '3', { turn: turn(ms, 6, ['1', '3']) });
  const refate = [commit(900, 6, ['1', '3'])];

  it('a lease is cut short', () => {
    finds(held(60), [asked, retake(50), ...refate], retaken);
    sound([asked, retake(110), ...refate], retaken);
  });

  it('a turn is free once it was committed, and kept where its replies are to be sent', () => {
    sound([asked, answered, next(30), ...fate], all);
    const sending = commit(30, 5, ['1'], { deliver: true });
    finds(held(80), [asked, sending, next(50), ...fate], all);
    const settled = call('settle', 40, [here, '5' as Fence, [], LEASE], {
      now: at(40),
      turn: null,
    });
    sound([asked, sending, settled, next(40), ...fate], all);
  });

  it('an extension counts', () => {
    const extended = call('extend', 60, [here, '5' as Fence, 'builtin', LEASE], {
      now: at(60),
      expiresAt: at(160),
    });
    finds(held(20), [asked, extended, retake(140), ...refate], retaken);
    sound([asked, extended, retake(160), ...refate], retaken);
  });

  it('a turn that failed rests', () => {
    const failed = call('fail', 60, [here, '5' as Fence, 'Error'], {
      now: at(60),
      retryAt: at(1_060),
    });
    finds(held(160), [asked, failed, retake(900), commit(990, 6, ['1', '3'])], retaken);
    sound([asked, failed, retake(1_060), commit(1_070, 6, ['1', '3'])], retaken);
  });

  it('a call without an answer may have ended a turn, a person surely has', () => {
    const returned = lost(call('giveBack', 60, [here, '5' as Fence, 'builtin'], true));
    sound([asked, returned, retake(80), ...refate], retaken);
    const person = { ...lock(0, 9, 20), agent: HUMAN };
    const takeover = call(
      'setLock',
      20,
      [here, { agent: HUMAN, ttlSeconds: 1 }, { kind: 'none' }],
      { written: true, now: at(20), lock: person },
    );
    const cleared = call('clearLock', 30, [here, { kind: 'none' }], { written: true, now: at(30) });
    const recorded = question('1', 1, null, { status: 'recorded' });
    sound(
      [asked, takeover, cleared, next(50), ...fate],
      [recorded, question('3', 2, 6), reply('4', '3', 3, 6)],
    );
  });

  it('code is given messages while a person holds the conversation', () => {
    const person = { ...lock(0, 9, 20), agent: HUMAN };
    const given = turn(50, 6, ['3'], { lock: person });
    finds(
      'human: messages are handed over while a person holds the conversation',
      after(accept(50, '3', { lock: person, turn: given })),
      rows,
    );
  });
});

describe('wake-ups', () => {
  const waiting = accept(20, '3', { waiting: true });
  const found = accept(200, '7', { turn: turn(200, 6, ['3']) });
  const all = more(question('3', 3, 6), reply('4', '3', 4, 6));
  const ends = [found, commit(210, 6, ['3'])] as const;
  const rest = [...all, question('7', null, null, { status: 'failed' })];

  it('a turn ends though a message waits', () => {
    finds(
      'wake-up: the turn ended though the message 3 was waiting',
      [asked, waiting, answered, ...ends],
      rest,
    );
    // it came later
    sound([asked, answered, accept(40, '3', { waiting: true }), ...ends], rest);
    // the turn was kept
    const kept = commit(30, 5, ['1'], { turn: turn(30, 6, ['3']) });
    sound([asked, waiting, kept, commit(40, 6, ['3'])], all);
  });

  it('so does one that had replies to send', () => {
    const sending = commit(30, 5, ['1'], { deliver: true });
    const settled = call('settle', 40, [here, '5' as Fence, [], LEASE], {
      now: at(40),
      turn: null,
    });
    finds(
      'wake-up: the turn ended though the message 3 was waiting',
      [asked, waiting, sending, settled, ...ends],
      rest,
    );
  });

  it('an answer keeps silent about what waits', () => {
    finds('wake-up: a message waits unnoticed', [asked, answered, accept(40, '3'), ...ends], rest);
  });
});
