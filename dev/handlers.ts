import { join } from 'node:path';
import { isRoute } from '../lib/http/route.ts';
import { load, LoadError } from './functions.ts';
import { functionsOf } from './routes.ts';
import { StartupError } from './startup-error.ts';

/**
 * Refuses a project in which a function would answer that lib/http/route.ts did not make: it alone asks callers who
 * they are, and a file that exports a handler of its own would answer anybody.
 *
 * @throws {StartupError} with a sentence for each such file, or for one that cannot be loaded and looked at
 */
export async function refuseBareHandlers(root: string): Promise<void> {
  const sources = await functionsOf(root);
  const faults = await Promise.all(sources.map((source) => faultOf(root, source)));
  const told = faults.filter((fault) => fault !== null);
  if (told.length > 0) throw new StartupError(told.join('\n'));
}

async function faultOf(root: string, source: string): Promise<string | null> {
  if (!/\.[cm]?[jt]sx?$/.test(source)) {
    return `${source} answers without lib/http/route.ts: write it in TypeScript, or take it out of api/.`;
  }
  try {
    const exported = Object.entries(await load(join(root, source)));
    const bare = exported.filter(([, value]) => !isRoute(value)).map(([name]) => name);
    if (exported.length > 0 && bare.length === 0) return null;
    const what = exported.length === 0 ? 'nothing' : bare.join(', ');
    return `${source} exports ${what}: export what route() or routes() of lib/http/route.ts gives, and nothing else.`;
  } catch (error) {
    if (error instanceof LoadError) return error.message;
    throw error;
  }
}
