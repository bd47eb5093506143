import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvRecord } from '../../lib/csv.ts';

/** The cells of a record, read as RFC 4180 says. */
function cellsOf(record: string): string[] {
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/gy;
  return [...record.matchAll(cell)].map(([, text = '']) =>
    text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text,
  );
}

describe('csvRecord', () => {
  it('writes plain cells as they are', () => {
    expect(csvRecord(['a', '', 'ü 🙂', '12'])).toBe('a,,ü 🙂,12\r\n');
  });

  it('quotes what would end a cell', () => {
    expect(csvRecord(['a,b', 'say "hi"', 'a\nb', 'a\r', 'a;b'])).toBe(
      '"a,b","say ""hi""","a\nb","a\r","a;b"\r\n',
    );
  });

  it.each([
    '=1+1',
    '+49 30',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\rtext',
    '\ntext',
    ' =1',
    '\u00a0=1',
    '＝1',
    '＋1',
    '－1',
    '＠A',
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://x.example","see")',
  ])('takes the edge off %j', (text) => {
    const record = csvRecord([text]);
    expect(cellsOf(record)).toEqual([`'${text}`]);
  });

  it.each(['1-1', 'a=b', "'=1", 'mail@example.com', '(=1)', '{"a":"=1"}'])(
    'leaves %j as it is',
    (text) => {
      expect(cellsOf(csvRecord([text]))).toEqual([text]);
    },
  );

  it('gives every text back, but for the apostrophe, and no cell begins as a formula does', () => {
    const texts = fc.array(
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.string({ unit: fc.constantFrom(...Array.from('=+-@",;\t\r\n \'a＝')) }),
      ),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(texts, (cells) => {
        const read = cellsOf(csvRecord(cells));
        expect(read.map((cell, i) => (cell === `'${cells[i]}` ? cells[i] : cell))).toEqual(cells);
        for (const cell of read) expect(cell).not.toMatch(/^[\s]*[=+\-@＝＋－＠]|^[\t\r\n]/);
      }),
    );
  });
});
