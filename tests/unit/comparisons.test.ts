import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { Config } from '../../lib/config.ts';
import { bearerOf } from '../../lib/http/access.ts';
import { matchesAny } from '../../lib/secrets.ts';
import { configOf } from '../support/settings.ts';

// Secrets are compared by lib/secrets.ts, in constant time. The one who forgets it writes === and sees no difference:
// so their type is one that === does not take, and signatures are made nowhere else.

const root = resolve(import.meta.dirname, '../..');

/** What somebody may write who forgets. The compiler is the test: one that compiled would have an error to expect. */
const mistakes = (config: Config, token: string, headers: Headers, params: URLSearchParams) => [
  // @ts-expect-error -- TS2367: no overlap
  () => config.apiKeys.some((key) => key === token),
  // @ts-expect-error -- TS2367, also where each side may be missing
  () => bearerOf(headers) === config.cronSecrets[0],
  // @ts-expect-error -- TS2367
  () => params.get('hub.verify_token') === config.whatsapp.verifyTokens[0],
  // @ts-expect-error -- TS2345: a Set of secrets has no strings
  () => new Set(config.apiKeys).has(token),
  // @ts-expect-error -- TS2345
  () => config.apiKeys.includes(token),
  // @ts-expect-error -- TS2345
  () => config.whatsapp.appSecrets.some((secret) => token.startsWith(secret)),
  // @ts-expect-error -- TS2345
  () => config.deviceTokenSecrets.some((secret) => token.localeCompare(secret) === 0),
  // @ts-expect-error -- TS2769
  () => config.apiKeys.some((key) => Buffer.from(key).equals(Buffer.from(token))),
  // @ts-expect-error -- TS2464: nor does it name a property
  () => config.apiKeys.some((key) => token in { [key]: true }),
];

it('what the compiler refuses is right but for its time, and matchesAny is right without', () => {
  const key = 'k'.repeat(32);
  const config = configOf({
    API_KEYS: key,
    DEVICE_TOKEN_SECRET: key,
    CRON_SECRET: key,
    WHATSAPP_VERIFY_TOKEN: key,
    WHATSAPP_APP_SECRET: key,
  });
  const headers = new Headers({ authorization: `Bearer ${key}` });
  const params = new URLSearchParams({ 'hub.verify_token': key });
  const all = mistakes(config, key, headers, params);
  expect(all.map((mistake) => mistake())).toEqual(all.map(() => true));
  expect(matchesAny(key, config.apiKeys)).toBe(true);
});

/** Sources that sign, or compare bytes in constant time; the storage's own HMACs name rows, and are looked up. */
const signing = /\b(createHmac|timingSafeEqual|crypto\.subtle|signBytes)\b/;

it.each([
  `if (createHmac('sha256', secret).update(raw).digest('hex') === given) return;`,
  'if (signBytes(raw, secret) === given) return;',
  `const mac = await crypto.subtle.sign('HMAC', key, raw);`,
])('a signature that is made by hand, to be compared by hand, is found: %s', (code) => {
  expect(code).toMatch(signing);
});

it('lib/secrets.ts signs bytes and compares signatures, and nobody else does', () => {
  const found = ['lib', 'api'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => join(folder, file))
      .filter(
        (file) => file.endsWith('.ts') && signing.test(readFileSync(join(root, file), 'utf8')),
      ),
  );
  expect(found.toSorted()).toEqual(
    ['lib/secrets.ts', 'lib/storage/memory/memory-storage.ts'].map((file) => join(file)),
  );
});
