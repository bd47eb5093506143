import { describe, it } from 'vitest';
import type { Call } from '../../histories/history.ts';
import { finds, sound } from './judge.ts';
import {
  accept,
  commit,
  question,
  reply,
  turn,
  lost,
  asked,
  answered,
  rows,
  more,
} from './scene.ts';

// Each scene is sound but for what the test's name says, and has a sound twin where it is not plain what makes it so.

const after = (...calls: Call[]): Call[] => [asked, answered, ...calls];

it('finds nothing in a message that was accepted, answered and delivered again', () => {
  sound([asked, answered, accept(50, '1', {}, { status: 'answered', duplicate: true })], rows);
});

describe('answers', () => {
  it('a message waits for ever', () => {
    finds(
      'answer: the message 3 is still waiting, though all that waits was taken',
      after(accept(50, '3', { waiting: true })),
      more(question('3', null, null)),
    );
  });

  it('a message is gone', () => {
    finds(
      'answer: the accepted message 3 is gone',
      after(accept(50, '3', { waiting: true })),
      rows,
    );
    // nobody was told that it was accepted
    sound(after(lost(accept(50, '3'))), rows);
  });

  it('a message is swallowed: answered without a reply', () => {
    finds('answer: the message 1 has 0 replies', [asked, answered], [question('1', 1, 5)]);
  });

  it('a message has a second reply', () => {
    finds('answer: the message 1 has 2 replies', [asked, answered], more(reply('3', '1', 3, 5)));
  });

  it('a message has the reply of another turn', () => {
    const later = accept(40, '3', { turn: turn(40, 6, ['3']) });
    const both = more(question('3', 3, 6), reply('4', '3', 4, 6));
    sound([asked, answered, later, commit(45, 6, ['3'])], both);
    const crossed = both.map((row) => (row.id === '4' ? { ...row, answers: ['1'] } : row));
    finds(
      'answer: the message 3 has the reply of another turn',
      [asked, answered, later, commit(45, 6, ['3'])],
      crossed,
    );
  });

  it('a message is stored twice', () => {
    const again = accept(50, '1', { waiting: true }, { id: '3' });
    const twice = more(
      question('3', 3, 5, { externalId: 'm1', content: question('1', 1, 5).content }),
    );
    finds('answer: a message is stored 2 times', after(again), twice);
    finds('answer: two calls say that they stored one message', after(again), twice);
  });

  it('a fate changes', () => {
    finds(
      'answer: the message 1 was failed and is answered',
      after(accept(50, '1', {}, { status: 'failed', duplicate: true })),
      rows,
    );
  });

  it('a message that a person was to answer has a reply', () => {
    const recorded = question('1', 1, null, { status: 'recorded' });
    sound([accept(10, '1', {}, { status: 'recorded' })], [recorded]);
    finds(
      'answer: the message 1 is recorded and has 1 replies',
      [asked, answered],
      [recorded, reply('2', '1', 2, 5)],
    );
    finds(
      'answer: the reply 2 answers what it must not',
      [asked, answered],
      [recorded, reply('2', '1', 2, 5)],
    );
  });

  it('a message that was answered is handed out again', () => {
    finds(
      'answer: the message 1, answered by 5, was handed to 6',
      after(accept(50, '1', { turn: turn(50, 6, ['1']) }, { status: 'answered', duplicate: true })),
      rows,
    );
  });

  it('a commit answers more than was handed over', () => {
    finds(
      'answer: a commit answers other messages than were handed over',
      [asked, commit(30, 5, ['1', '3'])],
      rows,
    );
  });

  it('an answer passes a message over', () => {
    finds(
      'answer: an accepted message is passed over in the answer',
      after(accept(50, '3', { messages: [] })),
      rows,
    );
  });
});
