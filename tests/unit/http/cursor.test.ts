import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foundCursor, historyCursor, listCursor } from '../../../lib/http/cursor.ts';
import { codeOf } from '../../support/refusals.ts';

const place = {
  lastActivity: new Date('2026-11-20T12:00:00.123Z'),
  id: '0b0e7f5c-3c1e-4f0b-8a55-2f4f5a8e0c77',
};
const raw = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a cursor', () => {
  it('reads as it was written, and can stand in a URL', () => {
    const list = listCursor.write(place);
    const found = foundCursor.write({ ...place, rank: 0.060_792_71 });
    const history = historyCursor.write('1234567890123');
    expect(listCursor.read(list)).toEqual(place);
    expect(foundCursor.read(found)).toEqual({ ...place, rank: 0.060_792_71 });
    expect(historyCursor.read(history)).toBe('1234567890123');
    for (const cursor of [list, found, history]) expect(cursor).toMatch(/^[\w-]+$/);
  });

  it('keeps every rank to the last digit', () => {
    fc.assert(
      fc.property(fc.float({ min: 0, max: 1, noNaN: true }), (float) => {
        // as JSON brings a real of the database
        const rank = Number(Math.fround(float).toPrecision(9));
        expect(foundCursor.read(foundCursor.write({ ...place, rank })).rank).toBe(rank);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['a word', 'me'],
    ['no base64', '!!'],
    ['another list’s', historyCursor.write('1')],
    ['no array', raw({ lastActivity: place.lastActivity, id: place.id })],
    ['too little', raw([place.lastActivity])],
    ['too much', raw([place.lastActivity, place.id, 1, 2])],
    ['no time', raw(['soon', place.id])],
    ['no id', raw([place.lastActivity, "' OR 1=1"])],
    ['null', raw(null)],
  ])('is refused when it is %s', (_, cursor) => {
    expect(codeOf(() => listCursor.read(cursor))).toBe('invalid_request');
    expect(codeOf(() => foundCursor.read(cursor))).toBe('invalid_request');
  });

  it.each(['-1', '1.5', '1e3', '12345678901234567890', 'x', ''])(
    'of a history is refused at the place %j',
    (seq) => {
      expect(codeOf(() => historyCursor.read(raw([seq])))).toBe('invalid_request');
    },
  );
});
