import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

// Secrets are compared by lib/secrets.ts, in constant time. The one who forgets it writes === and sees no difference.

const root = resolve(import.meta.dirname, '../..');

/** What a value is called that must not be compared in any other way. */
const SECRET =
  /(secret|api_?keys?|password|signature|hmac|bearer|verify_?token|access_?token|authorization|credential|digest)/i;

/** The two sides of a comparison that ends at its first difference, and so tells by its time how far they agree. */
const COMPARISON =
  /([\w.?$[\]'"`]+)\s*(?:===|!==|==|!=)\s*([\w.?$[\]'"`]+)|([\w.?$[\]]+)\.(?:includes|startsWith|endsWith|indexOf|localeCompare|equals)\(([^)]*)\)/g;

/** What is compared with nothing, or by its kind, gives nothing away. */
const HARMLESS = /^(null|undefined|''|""|0|\d+|true|false|'(string|number|function|object)')$/;

/** @returns the comparisons in a source that are for lib/secrets.ts to make */
function comparisonsOf(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '');
  return [...code.matchAll(COMPARISON)].flatMap(([all, a = '', b = '', list = '', item = '']) => {
    const sides = list === '' ? [a, b] : [list, item];
    if (sides.some((side) => HARMLESS.test(side)) || /\.(length|size)\b/.test(all)) return [];
    // a word in quotes is a word, and no secret's name
    return sides.some((side) => !/^['"`]/.test(side) && SECRET.test(side)) ? [all] : [];
  });
}

const sources = ['lib', 'api'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);

it.each([
  'if (token === config.apiKey) return;',
  'return apiKeys.includes(token);',
  'if (given !== process.env.CRON_SECRET) throw 1;',
  'const ok = signature == expected;',
  'headers.authorization === `Bearer`',
  'if (secret.startsWith(given)) {}',
])('a comparison of a secret is found: %s', (code) => {
  expect(comparisonsOf(code)).toHaveLength(1);
});

it.each([
  'if (secret === null) return;',
  'if (deviceTokenSecrets.length === 0) return;',
  '// secret === other',
  'if (agent === HUMAN) return;',
])('what gives nothing away is let be: %s', (code) => {
  expect(comparisonsOf(code)).toEqual([]);
});

it('lib/secrets.ts compares secrets, and nobody else does', () => {
  const found = sources
    .filter((file) => file !== 'lib/secrets.ts')
    .flatMap((file) =>
      comparisonsOf(readFileSync(join(root, file), 'utf8')).map((code) => `${file}: ${code}`),
    );
  expect(found).toEqual([]);
});
