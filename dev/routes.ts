import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { detectBuilders } from '@vercel/fs-detectors';
import { appendRoutesToPhase, getTransformedRoutes, mergeRoutes } from '@vercel/routing-utils';
import type { Route } from '@vercel/routing-utils';
import { z } from 'zod';
import { parseJson } from '../lib/json.ts';
import { createMatcher } from './match.ts';
import type { Outputs, Router, Target } from './match.ts';
import { StartupError } from './startup-error.ts';

const header = z.strictObject({ key: z.string(), value: z.string() });

// Strict, so that a condition this server does not know is refused rather than passed over.
const settingsSchema = z.looseObject({
  cleanUrls: z.boolean().exactOptional(),
  trailingSlash: z.boolean().exactOptional(),
  functions: z.record(z.string(), z.looseObject({})).exactOptional(),
  headers: z
    .array(z.strictObject({ source: z.string(), headers: z.array(header) }))
    .exactOptional(),
  rewrites: z
    .array(z.strictObject({ source: z.string(), destination: z.string().startsWith('/') }))
    .exactOptional(),
  redirects: z
    .array(
      z.strictObject({
        source: z.string(),
        destination: z.string(),
        permanent: z.boolean().exactOptional(),
        statusCode: z.number().exactOptional(),
      }),
    )
    .exactOptional(),
});

type Settings = z.infer<typeof settingsSchema>;

/**
 * Builds the route table that Vercel would build for `root`: its functions in api/, its static files
 * in public/, and the rewrites, redirects, headers and cleanUrls of its vercel.json.
 *
 * @param fileOf the file that runs for a source such as api/lock.ts: itself, or what it was built into
 * @throws {StartupError} when Vercel would refuse the project, or vercel.json asks for more than this.
 */
export async function createRouter(
  root: string,
  fileOf: (source: string) => string = (source) => join(root, source),
): Promise<Router> {
  const settings = readSettings(join(root, 'vercel.json'));
  const files = [...filesIn(root, 'api'), ...filesIn(root, 'public')];
  const detected = await detect(files, settings);
  const configured = getTransformedRoutes(settings);
  if (configured.error) throw new StartupError(configured.error.message);

  const outputs: Outputs = new Map([
    ...staticOutputs(root, files, settings.cleanUrls === true),
    ...functionOutputs(detected.builders ?? [], fileOf),
  ]);
  const routes = mergeRoutes({
    userRoutes: configured.routes,
    builds: [{ use: 'detected', entrypoint: '/', routes: detectedRoutes(detected) }],
  });
  return createMatcher(routes, outputs);
}

/**
 * The files that Vercel would make functions of, such as api/lock.ts, in whatever language they are.
 *
 * @throws {StartupError} when Vercel would refuse the project
 */
export async function functionsOf(root: string): Promise<string[]> {
  const settings = readSettings(join(root, 'vercel.json'));
  const { builders } = await detect(filesIn(root, 'api'), settings);
  return (builders ?? []).flatMap(({ src }) => (src?.startsWith('api/') === true ? [src] : []));
}

async function detect(files: string[], settings: Settings): Promise<Detected> {
  const detected = await detectBuilders(files, null, {
    projectSettings: { framework: null, buildCommand: '', outputDirectory: 'public' },
    featHandleMiss: true,
    ...pickDetection(settings),
  });
  const errors = detected.errors ?? [];
  if (errors.length > 0) throw new StartupError(errors.map(({ message }) => message).join('\n'));
  return detected;
}

function readSettings(file: string): Settings {
  if (!existsSync(file)) return {};
  try {
    return settingsSchema.parse(parseJson(readFileSync(file, 'utf8')));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new StartupError(`vercel.json: ${reason}`);
  }
}

function pickDetection({ cleanUrls, trailingSlash, functions }: Settings) {
  return {
    ...(cleanUrls === undefined ? {} : { cleanUrls }),
    ...(trailingSlash === undefined ? {} : { trailingSlash }),
    ...(functions === undefined ? {} : { functions }),
  };
}

function filesIn(root: string, folder: string): string[] {
  const base = join(root, folder);
  if (!existsSync(base)) return [];
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function functionOutputs(
  builders: readonly { use: string; src?: string }[],
  fileOf: (source: string) => string,
) {
  return builders
    .filter(({ use }) => use === '@vercel/node')
    .map(({ src = '' }): [string, Target] => [
      `/${src.slice(0, -posix.extname(src).length)}`.replace(/\/index$/, ''),
      { kind: 'function', file: fileOf(src), search: '' },
    ]);
}

function staticOutputs(root: string, files: readonly string[], cleanUrls: boolean) {
  return files
    .filter((file) => file.startsWith('public/'))
    .flatMap((file): [string, Target][] => {
      const path = file.slice('public'.length);
      const target: Target = { kind: 'file', file: join(root, file), status: 200 };
      const short = cleanUrls ? path.replace(/\.html$/, '') : path;
      const folder = /^(?<folder>.*)\/index\.html$/.exec(path)?.groups?.['folder'];
      return folder === undefined
        ? [[short, target]]
        : [
            [path, target],
            [folder || '/', target],
          ];
    });
}

type Detected = Awaited<ReturnType<typeof detectBuilders>>;

/** The order of Vercel's own build: redirects, files, rewrites, misses, errors. */
function detectedRoutes(detected: Detected): Route[] {
  const rewrites = appendRoutesToPhase({
    routes: detected.redirectRoutes,
    newRoutes: detected.rewriteRoutes,
    phase: 'filesystem',
  });
  const all = appendRoutesToPhase({
    routes: rewrites,
    newRoutes: detected.errorRoutes,
    phase: 'error',
  });
  return [...all, ...(detected.defaultRoutes ?? [])];
}
