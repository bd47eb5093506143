import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { afterRefusal } from '../../../lib/channels/whatsapp/errors.ts';

const waits = (code: number, tries: number) =>
  Array.from({ length: tries }, (_, i) => (afterRefusal(code, i + 1).retryMs ?? NaN) / 1_000);
const minutes = (...list: number[]) => list.map((minute) => minute * 60);

describe('after a refusal', () => {
  it.each([1, 2, 130429, 131000, 131016, 133004])(
    '%i is tried again soon: after 1, 4, 16 and 64 seconds, for as long as MAX_ATTEMPTS allows',
    (code) => {
      expect(waits(code, 6)).toEqual([1, 4, 16, 64, 64, 64]);
      expect(afterRefusal(code, 1)).toEqual({
        name: `graph_${code}`,
        owner: false,
        retryMs: 1_000,
      });
    },
  );

  it('131056, too many to one person, is tried again after 4^x seconds, until it succeeds', () => {
    expect(waits(131056, 6)).toEqual([1, 4, 16, 64, 256, 256]);
    expect(afterRefusal(131056, 1)).toMatchObject({ lasting: true, owner: false });
  });

  it.each([4, 80007, 131057, 132069, 134101])(
    '%i, a limit counted over minutes or hours, is tried again later, until it succeeds',
    (code) => {
      expect(waits(code, 5)).toEqual(minutes(5, 15, 60, 180, 180));
      expect(afterRefusal(code, 1)).toMatchObject({ lasting: true, owner: false });
    },
  );

  it.each([130472, 131009, 131021, 131026, 131049, 131050, 131051, 131053])(
    '%i is never tried again, and nobody needs to hear of it',
    (code) => {
      expect(afterRefusal(code, 1)).toEqual({ name: `graph_${code}`, owner: false });
    },
  );

  it.each([0, 3, 10, 33, 100, 190, 200, 230, 299, 368, 131005, 131030, 131031, 131042, 132001])(
    '%i is never tried again, and the owner has to do something',
    (code) => {
      expect(afterRefusal(code, 1)).toEqual({ name: `graph_${code}`, owner: true });
    },
  );

  it.each([131047, 470])('%i says that the 24 hours are over, and is called so', (code) => {
    expect(afterRefusal(code, 1)).toEqual({ name: 'outside_window', owner: false });
  });

  it('a code nobody has heard of is final, unless the answer says that it will pass', () => {
    expect(afterRefusal(999_999, 1)).toEqual({ name: 'graph_999999', owner: false });
    expect(afterRefusal(999_999, 2, true)).toEqual({
      name: 'graph_999999',
      owner: false,
      retryMs: 4_000,
    });
    expect(afterRefusal(131026, 1, true).retryMs).toBeUndefined();
  });

  it('without a count of tries, as in a status, the wait is that of a third try', () => {
    expect(afterRefusal(131056)).toEqual(afterRefusal(131056, 3));
    expect(afterRefusal(131056, 0)).toEqual(afterRefusal(131056, 1));
  });

  it('every recorded refusal has a code of its own in the table', async () => {
    const folder = join(import.meta.dirname, '../../fixtures/whatsapp/graph');
    const files = (await readdir(folder)).filter((file) => /^err-\d/.test(file));
    expect(files.length).toBe(12);
    const refused = z.object({ body: z.object({ error: z.object({ code: z.number() }) }) });
    for (const file of files) {
      const { code } = refused.parse(JSON.parse(await readFile(join(folder, file), 'utf8'))).body
        .error;
      // a listed code does not care for hints
      expect(afterRefusal(code, 1, true), file).toEqual(afterRefusal(code, 1, false));
    }
  });
});
