import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

const sources = ['lib', 'api', 'dev'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({
      file: `${folder}/${file}`,
      text: readFileSync(join(root, folder, file), 'utf8'),
    })),
);

/** One sentence, or two to choose from. */
const REFUSAL =
  /new BatonError\(\s*'(\w+)',\s*(?:\w+ === '\w+'\s*\?\s*)?(['`])([\s\S]*?)\2(?:\s*:\s*(['`])([\s\S]*?)\4)?/g;

/** The code and the sentence of every refusal that the sources write. */
const refusals = sources.flatMap(({ file, text }) =>
  [...text.matchAll(REFUSAL)].flatMap(([, code = '', , ...[detail = '', , other]]) =>
    [detail, ...(other === undefined ? [] : [other])].map((each) => ({ file, code, detail: each })),
  ),
);

const VERBS =
  'ask|begin|get|leave out|log in|look for|name|read|redeem|register|remove|report|see|send|set|try|use';

/**
 * A clause that tells somebody to do something: it begins with a verb, where the sentence does or behind a colon, a
 * semicolon or a full stop. What goes on with `of` or `is` is a noun.
 */
const STEP = new RegExp(
  `(?:^|[:;.] |, please )(?:${VERBS}|${VERBS.replaceAll(/(^|\|)[a-z]/g, (first) => first.toUpperCase())})\\b(?! (?:of|is|are|was|were|has|have)\\b)`,
);

/** Answers for a code alone, whose sentence nobody reads: its status is asked for. */
const UNTOLD = "new BatonError(code, '')";

describe('every refusal', () => {
  it('is found, each that the sources write', () => {
    const written = sources.flatMap(({ text }) => [
      ...text.replaceAll(UNTOLD, '').matchAll(/new BatonError\(/g),
    ]);
    const found = sources.flatMap(({ text }) => [...text.matchAll(REFUSAL)]);
    expect(found).toHaveLength(written.length);
    expect(refusals.length).toBeGreaterThan(50);
    for (const folder of ['lib/', 'api/', 'dev/'])
      expect(refusals.some(({ file }) => file.startsWith(folder))).toBe(true);
  });

  it.each(refusals)('$code of $file says what to do next: $detail', ({ detail }) => {
    expect(detail).toMatch(STEP);
  });

  it.each([
    'This chat session is complete',
    'Too many sessions are in use',
    'This cursor cannot be read',
    'The body could not be read',
    'Name of the agent too long',
    'Method not allowed',
    'The user_id is not the one of the device token you send',
    'This token is not the newest: nothing was set',
    'Nothing is stored about this device; its first message is read later',
  ])('a sentence without a step is found: %s', (detail) => {
    expect(detail).not.toMatch(STEP);
  });

  it.each(refusals)(
    '$code of $file is a sentence about the call, and holds nothing of it: $detail',
    ({ detail }) => {
      expect(detail.length).toBeLessThan(160);
      const told = [...detail.matchAll(/\$\{([^}]+)\}/g)].map(([, value = '']) => value);
      const harmless =
        /^(limit|most|max\w+|type|path|what|requestId|entry\.allowed|allow|MAX_DEPTH|BODY_MS \/ 1_000|codeOf\(error\))$/;
      expect(told.filter((value) => !harmless.test(value))).toEqual([]);
    },
  );
});
