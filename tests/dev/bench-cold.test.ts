import { expect, test } from 'vitest';
import { run } from './command.ts';

test('a round shows every function beside the drivers, and the exit code says whether the bar holds', async () => {
  const { code, out, err } = await run('bench-cold.ts', ['--rounds', '1']);
  for (const name of ['@neondatabase/serverless', 'pg', '/api/lock', '/api/webhooks/whatsapp']) {
    expect(out).toMatch(
      new RegExp(`^\\| ${name} .*\\| +\\d+\\.\\d \\| +\\d+\\.\\d\\d × \\| +\\d+\\.\\d \\|$`, 'm'),
    );
  }
  const verdicts = out.split('\n').filter((line) => /^(holds|FAILS) /.test(line));
  expect(verdicts).toHaveLength(3);
  expect(code).toBe(verdicts.some((line) => line.startsWith('FAILS')) ? 1 : 0);
  expect(err).toBe('\rround 1 of 1\n');
});

test.each([
  [['--help'], 0],
  [['--rounds', 'many'], 1],
])('%s: says how to use it', async (args, code) => {
  const outcome = await run('bench-cold.ts', args);
  expect(outcome.code).toBe(code);
  expect(outcome.out).toMatch(/^Usage: npm run bench:cold/);
});
