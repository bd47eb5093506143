import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

describe('the file', () => {
  it('is less than 3 KB, minified and gzipped', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'lib/client.ts')],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      write: false,
    });
    const bytes = gzipSync(outputFiles[0]?.contents ?? '').byteLength;
    expect(bytes).toBeGreaterThan(500);
    expect(bytes).toBeLessThan(3_000);
  });

  it('compiles for browsers under strict types, with nothing of Node', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'baton-client-'));
    try {
      for (const name of ['client.ts', 'client-request.ts', 'client-types.ts']) {
        await symlink(join(root, 'lib', name), join(folder, name));
      }
      await writeFile(
        join(folder, 'use.ts'),
        "import { createClient } from './client.ts';\nexport const lock = createClient().lock.get();\n",
      );
      const config = {
        compilerOptions: {
          target: 'es2022',
          lib: ['es2023', 'dom', 'dom.iterable'],
          module: 'esnext',
          moduleResolution: 'bundler',
          allowImportingTsExtensions: true,
          preserveSymlinks: true,
          types: [],
          noEmit: true,
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          noImplicitOverride: true,
          isolatedModules: true,
          verbatimModuleSyntax: true,
        },
      };
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], {
        encoding: 'utf8',
      });
      expect([status, stdout]).toEqual([0, '']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('imports nothing but its own files', async () => {
    for (const [name, imported] of [
      ['client.ts', ['./client-types.ts', './client-request.ts', './client-request.ts']],
      ['client-request.ts', ['./client-types.ts']],
      ['client-types.ts', []],
    ] as const) {
      const text = await readFile(join(root, 'lib', name), 'utf8');
      expect([...text.matchAll(/ from '([^']+)'/g)].map((match) => match[1])).toEqual(imported);
    }
  });
});
