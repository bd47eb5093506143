import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

const sources = ['lib', 'api'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({
      file: `${folder}/${file}`,
      text: readFileSync(join(root, folder, file), 'utf8'),
    })),
);

/** The code and the sentence of every refusal that the sources write. */
const refusals = sources.flatMap(({ file, text }) =>
  [...text.matchAll(/new BatonError\(\s*'(\w+)',\s*(['`])([\s\S]*?)\2/g)].map(
    ([, code = '', , detail = '']) => ({ file, code, detail }),
  ),
);

/** What a sentence tells somebody to do. */
const STEP =
  /\b(send|ask|begin|register|read|call|try|log in|name|set|see|look|use|redeem|report|remove|leave out|get|complete)\b/i;

describe('every refusal', () => {
  it('is found: each code that the sources throw, but those told by more than one sentence', () => {
    const thrown = sources.flatMap(({ text }) => [...text.matchAll(/new BatonError\(/g)]).length;
    const odd = sources.flatMap(({ text, file }) =>
      [...text.matchAll(/new BatonError\((?!\s*'\w+',\s*['`])/g)].map(() => file),
    );
    // whether a credential is missing or not enough is told by two sentences
    expect([...new Set(odd)]).toEqual(['lib/http/access.ts']);
    expect(refusals).toHaveLength(thrown - odd.length);
    expect(refusals.length).toBeGreaterThan(40);
  });

  it.each(refusals)('$code of $file says what to do next: $detail', ({ detail }) => {
    expect(detail).toMatch(STEP);
  });

  it.each(refusals)(
    '$code of $file is a sentence about the call, and holds nothing of it: $detail',
    ({ detail }) => {
      expect(detail.length).toBeLessThan(160);
      const told = [...detail.matchAll(/\$\{([^}]+)\}/g)].map(([, value = '']) => value);
      const harmless =
        /^(limit|most|max\w+|type|path|what|requestId|entry\.allowed|MAX_DEPTH|BODY_MS \/ 1_000|codeOf\(error\))$/;
      expect(told.filter((value) => !harmless.test(value))).toEqual([]);
    },
  );
});
