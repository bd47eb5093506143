import { isBuiltin } from 'node:module';
import { relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BuildOptions, Plugin } from 'esbuild';

/** The file that holds the storages, beside the bundles. */
const FILE = 'storage.mjs';

/**
 * Leaves the storages out of a function's bundle: what lib/app.ts takes from lib/storage/ by `import()` comes from a file
 * of theirs, by an `import()` again, which the platform's file tracing understands.
 *
 * @param chosen gets the modules that were left out, as paths from the root
 */
export const storageApart = (root: string, chosen: Set<string>): Plugin => ({
  name: 'storage-apart',
  setup(build) {
    build.onResolve({ filter: /\/storage\/\w+\/[\w-]+\.ts$/ }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      const file = relative(root, resolve(resolveDir, path)).split(sep).join('/');
      chosen.add(file);
      return { path: file, namespace: 'storage' };
    });
    build.onResolve({ filter: /^\.\//, namespace: 'storage' }, ({ path }) => ({
      path,
      external: true,
    }));
    build.onLoad({ filter: /./, namespace: 'storage' }, async ({ path }) => {
      const names = Object.keys((await import(pathToFileURL(resolve(root, path)).href)) as object);
      return {
        contents: `
          const { storages } = await import('./${FILE}');
          const storage = await storages['${path}']();
          ${exportsOf(names, (name) => `storage['${name}']`)}`,
      };
    });
  },
});

/** The build of that file: a function per module, so that reading it runs none of them. */
export function storageOptions(root: string, chosen: ReadonlySet<string>): BuildOptions {
  const loaders = [...chosen].map((module) => `'${module}': () => import('./${module}')`);
  return {
    stdin: { contents: `export const storages = { ${loaders.join(', ')} };`, resolveDir: root },
    entryNames: FILE.replace(/\.mjs$/, ''),
    external: optional,
  };
}

/** Packages that pg asks for where they are installed; here they are not. */
export const optional = ['pg-native', 'pg-cloudflare'];

/**
 * Loads Node's own modules by `process.getBuiltinModule`. An `import` of one reads every export of it, also those
 * that Node itself would load only when asked for: 40 ms for node:http, which has `WebSocket` among them. What
 * looks like a function is fetched when it is called: node:crypto takes 8 ms.
 */
export const builtins: Plugin = {
  name: 'builtins',
  setup(build) {
    build.onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) => {
      if (!isBuiltin(path)) return undefined;
      return {
        path,
        namespace: kind === 'require-call' ? 'builtin-cjs' : 'builtin',
        sideEffects: false,
      };
    });
    const load = (path: string) => `process.getBuiltinModule('${path}')`;
    build.onLoad({ filter: /./, namespace: 'builtin-cjs' }, ({ path }) => ({
      contents: `module.exports = ${load(path)};`,
    }));
    build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => {
      const module = process.getBuiltinModule(path) as Record<string, unknown>;
      const isFunction = (name: string) =>
        /^[a-z]/.test(name) && typeof module[name] === 'function';
      return {
        contents: `
          const get = (name) => ${load(path)}[name];
          export default /* @__PURE__ */ ${load(path)};
          ${exportsOf(
            Object.keys(module).filter((name) => name !== 'default'),
            (name) =>
              isFunction(name)
                ? `(...given) => get('${name}')(...given)`
                : `/* @__PURE__ */ get('${name}')`,
          )}`,
      };
    });
  },
};

/** Of @vercel/functions, the one function that is used: its index loads OIDC, caches and more, 6 ms. */
export const platform: Plugin = {
  name: 'platform',
  setup(build) {
    build.onResolve({ filter: /^@vercel\/functions$/ }, () => ({
      path: 'functions',
      namespace: 'platform',
    }));
    build.onLoad({ filter: /./, namespace: 'platform' }, () => ({
      // by its file: the package exports no path to it
      contents: `export { waitUntil } from './node_modules/@vercel/functions/wait-until.js';`,
      resolveDir: build.initialOptions.absWorkingDir ?? '.',
    }));
  },
};

function exportsOf(names: readonly string[], valueOf: (name: string) => string): string {
  const identifiers = names.filter((name) => /^[A-Za-z_$][\w$]*$/.test(name));
  return identifiers
    .map((name) =>
      name === 'default'
        ? `export default ${valueOf(name)};`
        : `export const ${name} = ${valueOf(name)};`,
    )
    .join('\n');
}
