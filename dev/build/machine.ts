import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { BundledFunction } from './bundle.ts';

/**
 * Whether this is the platform's own build, whose checkout is thrown away. `VERCEL` alone does not tell: the CLI
 * sets it for `vercel build` on anybody's machine, and `vercel pull` brings VERCEL, VERCEL_ENV and an empty
 * VERCEL_URL along. `CI` is there during the platform's builds only, and a VERCEL_URL names the deployment that is
 * being made. Where a project does not expose these variables, it is deployed unbundled: slower, and right.
 *
 * https://vercel.com/docs/environment-variables/system-environment-variables
 */
export function isBuildMachine(env: Readonly<Record<string, string | undefined>>): boolean {
  return env['VERCEL'] === '1' && Boolean(env['CI']) && Boolean(env['VERCEL_URL']);
}

/**
 * Puts the bundles in the place of the functions: the compiler, which runs next, then finds one import in each.
 * A second lock beside `isBuildMachine`: where git knows of changes in api/, somebody works there, and nothing is
 * overwritten.
 *
 * @returns what was done, as a sentence
 */
export async function replaceEntries(
  root: string,
  functions: readonly BundledFunction[],
): Promise<string> {
  const git = spawnSync('git', ['status', '--porcelain', '--', 'api'], {
    cwd: root,
    encoding: 'utf8',
  });
  // no repository: a deployment that was uploaded
  if (git.status === 0 && git.stdout !== '') {
    return 'api/ has changes that are not committed, so it stays as it is and is deployed unbundled.';
  }
  for (const { entry, bundle } of functions) {
    const path = posix.relative(posix.dirname(entry), bundle);
    await writeFile(join(root, entry), `export * from '${path}';\n`);
  }
  return `${functions.length} functions are now their bundles.`;
}
