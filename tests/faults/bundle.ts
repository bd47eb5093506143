import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { z } from 'zod';

const root = resolve(import.meta.dirname, '../..');
const settings = z.object({
  rewrites: z.array(z.object({ source: z.string(), destination: z.string() })),
});

/**
 * Makes an instance one file: to load hundreds of modules takes a second, and hundreds of instances are killed. The
 * functions of api/ are found under their paths and by the rewrites of vercel.json, as the platform finds them.
 */
export async function bundleInstance(file: string): Promise<void> {
  const { rewrites } = settings.parse(JSON.parse(readFileSync(join(root, 'vercel.json'), 'utf8')));
  const functions = globSync('api/**/*.ts', { cwd: root });
  const paths = functions.map((name) => `/${name.replace(/\.ts$/, '')}`);
  const rules = [
    ...paths.map((path) => [`^${path}$`, path]),
    ...rewrites.map(({ source, destination }) => [`^${source}$`, destination]),
  ];
  const contents = [
    `import { serve } from './tests/faults/instance.ts';`,
    ...functions.map((name, i) => `import * as f${i} from './${name}';`),
    `const functions = { ${paths.map((path, i) => `'${path}': f${i}`).join(', ')} };`,
    `const rules = ${JSON.stringify(rules)}.map(([source, to]) => [new RegExp(source), functions[to]]);`,
    `await serve((path) => rules.find(([source]) => source.test(path))[1]);`,
  ].join('\n');
  await build({
    stdin: { contents, resolveDir: root },
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'silent',
    external: ['pg-native', 'pg-cloudflare'],
    // what CommonJS modules ask for
    banner: {
      js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`,
    },
  });
}
