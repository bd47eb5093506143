import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documented } from '../../dev/openapi/document.ts';
import { readConfig } from '../../lib/config.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFile(join(root, file), 'utf8');

async function documents(): Promise<{ file: string; text: string }[]> {
  const pages = (await readdir(join(root, 'docs')).catch(() => [])).filter((file) =>
    file.endsWith('.md'),
  );
  const files = ['README.md', ...pages.map((file) => `docs/${file}`)];
  return Promise.all(files.map(async (file) => ({ file, text: await read(file) })));
}

/** The variables the configuration asks for, seen by handing it an environment that notes every look. */
function variablesOfConfig(): Set<string> {
  const asked = new Set<string>();
  readConfig(
    new Proxy<Record<string, string | undefined>>(
      {},
      {
        get(_, name) {
          asked.add(String(name));
          return undefined;
        },
      },
    ),
  );
  return asked;
}

describe('the documentation', () => {
  it('names only files and folders that exist', async () => {
    const pattern = /(?:^|[\s`(=])((?:api|lib|drizzle|tests|dev|public|docs)\/[\w./-]*[\w/])/gm;
    // examples of files to be written
    const invented = ['lib/agents/opening-hours.ts', 'tests/conformance/mine.test.ts'];
    for (const { file, text } of await documents()) {
      const named = [...text.matchAll(pattern)].flatMap((match) => match[1] ?? []);
      expect(
        named.filter((path) => !invented.includes(path) && !existsSync(join(root, path))),
        file,
      ).toEqual([]);
    }
    expect((await documents())[0]?.text).toMatch(pattern);
  });

  it('names only routes that exist, and every one of them', async () => {
    // several may share a function: the table of operations knows them all
    const paths = documented().map(({ path }) => path.replace(/(\/\{|\?).*$/, ''));
    const named = new Set<string>();
    for (const { text } of await documents()) {
      for (const match of text.matchAll(/(?<![\w.])\/api\/[a-z/-]*[a-z]/g)) named.add(match[0]);
    }
    expect([...named].toSorted()).toEqual([...new Set(paths)].toSorted());
  });

  it('names only commands that exist', async () => {
    const { scripts } = JSON.parse(await read('package.json')) as {
      scripts: Record<string, string>;
    };
    for (const { file, text } of await documents()) {
      const named = [...text.matchAll(/npm run ([a-z:-]+)/g)].map((match) => match[1] ?? '');
      expect(
        named.filter((name) => !(name in scripts)),
        file,
      ).toEqual([]);
    }
  });

  it('names only variables that are read, and .env.example lists every one of them', async () => {
    const variables = variablesOfConfig();
    const listed = [...(await read('.env.example')).matchAll(/^([A-Z][A-Z_]+)=/gm)].map(
      (match) => match[1] ?? '',
    );
    expect(listed.toSorted()).toEqual([...variables].toSorted());
    for (const { file, text } of await documents()) {
      const named = [...text.matchAll(/`([A-Z][A-Z]+_[A-Z_]+)(?:=[^`]*)?`/g)].map(
        (match) => match[1] ?? '',
      );
      expect(
        named.filter((name) => !listed.includes(name)),
        file,
      ).toEqual([]);
    }
  });

  it('shows in .env.example the defaults that hold', async () => {
    const env = Object.fromEntries(
      [...(await read('.env.example')).matchAll(/^([A-Z][A-Z_]+)=(.*)$/gm)].map(
        ([, name, value]) => [name, value],
      ),
    );
    expect(readConfig(env)).toEqual(readConfig({}));
  });
});
