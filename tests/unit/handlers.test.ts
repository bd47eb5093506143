import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { refuseBareHandlers } from '../../dev/handlers.ts';
import { functionsOf } from '../../dev/routes.ts';

const root = resolve(import.meta.dirname, '../..');

let project: string;
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'baton-handlers-'));
});
afterEach(() => rm(project, { recursive: true, force: true }));

const made = `import { route } from '${join(root, 'lib/http/route.ts')}';
export const { GET, HEAD, POST } = route('/api/health', { GET: () => Promise.resolve(new Response()) });`;

async function refusalOf(file: string, text: string): Promise<string | null> {
  await mkdir(dirname(join(project, file)), { recursive: true });
  await writeFile(join(project, file), text);
  return refuseBareHandlers(project).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
}

it('every handler of api/ was made by lib/http/route.ts', async () => {
  expect(await functionsOf(root)).toHaveLength(10);
  await refuseBareHandlers(root);
});

it('what route.ts made may answer', async () => {
  expect(await refusalOf('api/health.ts', made)).toBeNull();
});

it.each([
  ['a handler', 'api/debug.ts', 'export function GET() { return new Response("all"); }', 'GET'],
  ['JavaScript', 'api/debug.js', 'export const POST = () => new Response("all");', 'POST'],
  ['a deeper one', 'api/a/b/[id].ts', 'export const PUT = () => new Response("all");', 'PUT'],
  [
    'one among others',
    'api/debug.ts',
    `${made}\nexport const PUT = () => new Response("all");`,
    'PUT',
  ],
  [
    'one around the wrapper',
    'api/debug.ts',
    `${made}\nexport const PATCH = (r) => GET(r);`,
    'PATCH',
  ],
  [
    'one for Node',
    'api/debug.ts',
    'export default (_, response) => response.end("all");',
    'default',
  ],
  [
    'one that fetches',
    'api/debug.ts',
    'export default { fetch: () => new Response("all") };',
    'default',
  ],
  ['a server of its own', 'api/debug.ts', 'globalThis.aside = 1;', 'nothing'],
  ['what does not load', 'api/debug.ts', `import './missing.ts';\n${made}`, 'cannot be loaded'],
  ['another language', 'api/debug.py', 'class handler: pass', 'TypeScript'],
])('%s is refused', async (_, file, text, why) => {
  const refusal = await refusalOf(file, text);
  expect(refusal).toContain(file);
  expect(refusal).toContain(why);
});
