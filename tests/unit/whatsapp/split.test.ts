import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitText } from '../../../lib/channels/whatsapp/split.ts';

const words = (text: string) => text.replaceAll(/\s+/g, '');
const graphemes = (text: string) =>
  [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);

describe('a text', () => {
  it.each(['', 'short', 'x'.repeat(4_096), '  as it is \n'])('that fits is one part', (text) => {
    expect(splitText(text)).toEqual([text]);
  });

  it('that is longer is cut at 4,096 characters', () => {
    expect(splitText('x'.repeat(10_000)).map((part) => part.length)).toEqual([4_096, 4_096, 1_808]);
  });

  it('is cut between paragraphs, if the part is not less than half full', () => {
    expect(splitText('One. Two.\n\nThree four.', 16)).toEqual(['One. Two.', 'Three four.']);
    expect(splitText('One.\n\nTwo three. Four five six.', 20)).toEqual([
      'One.\n\nTwo three.',
      'Four five six.',
    ]);
  });

  it('else between lines, else between sentences, else between words', () => {
    expect(splitText('- a first one\n- a second one\n- a third', 32)).toEqual([
      '- a first one\n- a second one',
      '- a third',
    ]);
    expect(splitText('It is so. It was so before! Was it not?', 30)).toEqual([
      'It is so. It was so before!',
      'Was it not?',
    ]);
    expect(splitText('one two three four five', 15)).toEqual(['one two three', 'four five']);
    expect(splitText('one two three', 7)).toEqual(['one two', 'three']);
  });

  it('in a script without spaces is cut between sentences too', () => {
    expect(splitText('今日は晴れです。明日は雨でしょう。', 12)).toEqual([
      '今日は晴れです。',
      '明日は雨でしょう。',
    ]);
  });

  it.each([
    ['a family', '👨‍👩‍👧‍👦'],
    ['a flag', '🇲🇽'],
    ['a flag made of tags', '🏴󠁧󠁢󠁥󠁮󠁧󠁿'],
    ['a skin tone', '👋🏽'],
    ['letters with marks', 'e\u0301\u0323'],
    ['Hindi', 'क्षि'],
    ['CRLF', 'x\r\n'],
  ])('is never cut inside %s', (_, cluster) => {
    const text = cluster.repeat(2_000);
    for (const part of splitText(text)) {
      expect(part.length).toBeLessThanOrEqual(4_096);
      expect(part.replaceAll(cluster.trim(), '').trim()).toBe('');
    }
  });

  it('of one endless grapheme is cut between whole characters', () => {
    const parts = splitText(`x${'\u{1D167}'.repeat(5_000)}`);
    expect(parts.every((part) => part.isWellFormed() && part.length <= 4_096)).toBe(true);
    expect(parts.join('')).toHaveLength(10_001);
  });

  it('of mostly white space has no blank part', () => {
    expect(splitText(`${' '.repeat(9_000)}x`)).toEqual(['x']);
    expect(splitText(`x${' '.repeat(9_000)}`)).toEqual(['x']);
  });

  it('loses nothing but white space at its cuts, whatever it is made of', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom(' ', '\n', '\n\n', '. ', '👨‍👩‍👧‍👦', 'e\u0301', '。', '\r\n', '\u200b'),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }),
        fc.integer({ min: 20, max: 60 }),
        (some, limit) => {
          const text = some.join('');
          const parts = splitText(text, limit);
          expect(words(parts.join(''))).toBe(words(text));
          for (const part of parts) expect(part.length).toBeLessThanOrEqual(limit);
          if (parts.length > 1) for (const part of parts) expect(part.trim()).not.toBe('');
          const whole = new Set(graphemes(text).map(words));
          for (const part of parts)
            for (const grapheme of graphemes(part).map(words))
              expect(grapheme.length > limit / 2 || whole.has(grapheme)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
