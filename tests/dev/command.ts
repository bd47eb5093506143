import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';

const root = resolve(import.meta.dirname, '../..');

/** What a command did. */
export interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/**
 * Runs a file of dev/ as npm does.
 *
 * @param env its whole environment, but for PATH
 * @param from the checkout it belongs to; this one if left out
 */
export async function run(
  file: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  from = root,
): Promise<Outcome> {
  const child = spawn(process.execPath, [join(from, 'dev', file), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    cwd: from,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, out, err };
}
