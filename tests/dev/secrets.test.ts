import { expect, test } from 'vitest';
import { readConfig } from '../../lib/config.ts';
import { run } from './command.ts';

const parse = (out: string) =>
  Object.fromEntries(
    out
      .trim()
      .split('\n')
      .map((line) => line.split('=') as [string, string]),
  );

test('it prints lines for .env, and Baton takes every one of them', async () => {
  const { code, out } = await run('secrets.ts');
  expect(code).toBe(0);
  const secrets = parse(out);
  expect(Object.keys(secrets)).toEqual([
    'API_KEYS',
    'DEVICE_TOKEN_SECRET',
    'CRON_SECRET',
    'WHATSAPP_VERIFY_TOKEN',
  ]);
  const read = readConfig(secrets);
  expect(read).toMatchObject({
    config: {
      apiKeys: [secrets['API_KEYS']],
      whatsapp: { verifyTokens: [secrets['WHATSAPP_VERIFY_TOKEN']] },
    },
  });
});

test('no value comes twice, neither in one run nor in the next', async () => {
  const runs = await Promise.all([run('secrets.ts'), run('secrets.ts')]);
  const values = runs.flatMap(({ out }) => Object.values(parse(out)));
  expect(new Set(values).size).toBe(8);
});

test('--help says what for', async () => {
  expect(await run('secrets.ts', ['--help'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Usage: npm run secrets\n/),
  });
});
