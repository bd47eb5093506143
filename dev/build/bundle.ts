import { readdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { build, type BuildOptions } from 'esbuild';
import { StartupError } from '../startup-error.ts';
import { builtins, optional, platform, storageApart, storageOptions } from './plugins.ts';

/** A function of api/ and the one file it was made into. */
export interface BundledFunction {
  /** Its source, such as api/webhooks/web.ts. */
  entry: string;
  /** Its bundle, such as .bundle/webhooks.web.mjs. */
  bundle: string;
  /** Files that a deployment of it has. */
  files: number;
  /** Bytes of all that a cold start may read of it: the bundle and the storages. */
  bytes: number;
  gzippedBytes: number;
}

/** Where bundles go; not tracked. */
const folder = '.bundle';
/** What the platform puts beside them: the entry, its source map, package.json. */
const filesOfPlatform = 3;

const options = {
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  outExtension: { '.js': '.mjs' },
  legalComments: 'none',
  logLevel: 'silent',
} satisfies BuildOptions;

/**
 * Makes each function of `root` one file, and all storages another, of which a function runs the one it needs at its
 * first request. Separate files cost a cold start 400 ms (drizzle-orm alone has hundreds); in one they cost what V8
 * takes to read them, some 25 KB a millisecond: that is why the storages with their drivers, four fifths of it, are
 * kept apart.
 *
 * @param mapped also writes source maps, for reading the stack traces of a deployment. A deployment has none:
 *   Node reads them only where it is told to, and they would be another file to load.
 * @throws esbuild's error, which names the file and the line
 */
export async function bundleFunctions(root: string, mapped: boolean): Promise<BundledFunction[]> {
  const entries = functionsOf(root);
  const outdir = join(root, folder);
  await rm(outdir, { recursive: true, force: true });
  const shared = {
    ...options,
    absWorkingDir: root,
    outdir,
    ...(mapped && { sourcemap: 'external' as const }),
  };
  const chosen = new Set<string>();
  const { metafile } = await build({
    ...shared,
    entryPoints: entries.map((entry) => ({ in: entry, out: nameOf(entry) })),
    plugins: [builtins, platform, storageApart(root, chosen)],
    metafile: true,
  });
  const storages = await build({
    ...shared,
    ...storageOptions(root, chosen),
    plugins: [builtins, platform],
    metafile: true,
  });
  refuseState(Object.keys(storages.metafile.inputs));
  return Promise.all(
    entries.map(async (entry) => {
      const bundle = `${folder}/${nameOf(entry)}.mjs`;
      const loads = metafile.outputs[bundle]?.imports.map(({ path }) => path) ?? [];
      const names = new Set([bundle, ...loads.map((path) => posix.join(folder, path))]);
      const sizes = await Promise.all([...names].map((name) => sizeOf(join(root, name))));
      return {
        entry,
        bundle,
        files: filesOfPlatform + names.size,
        bytes: sum(sizes.map(({ bytes }) => bytes)),
        gzippedBytes: sum(sizes.map(({ gzippedBytes }) => gzippedBytes)),
      };
    }),
  );
}

/**
 * Bundles the database drivers alone, in the same way, to compare the functions with: the two packages, and Drizzle
 * over each.
 *
 * @returns the bundles, each with the source of a function that makes a client of it
 */
export async function bundleDrivers(
  root: string,
): Promise<{ name: string; file: string; use: string }[]> {
  const url = `'postgres://reader:password@127.0.0.1:5432/baton'`;
  const clients = [
    ['@neondatabase/serverless', 'neon', `neon(${url})`],
    ['pg', 'default as pg', `new pg.Pool({ connectionString: ${url} })`],
    ['drizzle-orm/neon-http', 'drizzle', `drizzle(${url})`],
    ['drizzle-orm/node-postgres', 'drizzle', `drizzle(${url})`],
  ] as const;
  return Promise.all(
    clients.map(async ([name, imported, client]) => {
      const file = join(root, folder, 'bare', `${name.replaceAll('/', '.')}.mjs`);
      const binding = imported.split(' ').at(-1) ?? '';
      await build({
        ...options,
        stdin: { contents: `export { ${imported} } from '${name}';`, resolveDir: root },
        outfile: file,
        external: optional,
        plugins: [builtins],
      });
      return { name, file, use: `async ({ ${binding} }) => { ${client}; }` };
    }),
  );
}

/** As Vercel sees them: every TypeScript file of api/ but the ones that begin with a dot or an underscore. */
function functionsOf(root: string): string[] {
  return readdirSync(join(root, 'api'), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join('api', file.split(sep).join('/')))
    .filter((file) => /^(?:[^._][^/]*\/)*[^._][^/]*(?<!\.d)\.ts$/.test(file))
    .toSorted();
}

/** What storages share with the rest is there twice. BatonError is known by its name; nothing else may matter. */
function refuseState(files: readonly string[]): void {
  const kept = files.filter((file) => ['lib/log.ts', 'lib/app.ts'].includes(file));
  if (kept.length === 0) return;
  throw new StartupError(
    `A storage imports ${kept.join(', ')}, which keeps state, and would get one of its own: pass in what it needs.`,
  );
}

const nameOf = (entry: string) => entry.replace(/^api\/(.*)\.ts$/, '$1').replaceAll('/', '.');

async function sizeOf(file: string): Promise<{ bytes: number; gzippedBytes: number }> {
  const content = await readFile(file);
  return { bytes: content.length, gzippedBytes: (await promisify(gzip)(content)).length };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
