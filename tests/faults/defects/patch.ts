import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A defect as somebody might make it: what to change where, and the smallest test that must see it. */
export interface Defect {
  name: string;
  /** One sentence. */
  what: string;
  /** `faults NAME`, with ` over redis` where it is Redis's; or a test file, with ` > ` and the names of its groups (`a|b`) where not all of it is needed. */
  caughtBy: string;
  edits: readonly Edit[];
}

/** A text that stands in a file once, and what stands there instead. */
interface Edit {
  file: string;
  find: string;
  put: string;
}

/** What of `caughtBy` is a scenario, and over which storage it is played; null: it is a test file. */
export function scenarioOf(caughtBy: string): { name: string; storage: string } | null {
  const { name, storage = 'postgres' } =
    /^faults (?<name>\w+)(?: over (?<storage>\w+))?$/.exec(caughtBy)?.groups ?? {};
  return name === undefined ? null : { name, storage };
}

const header = /^# (?<what>.+)\n# caught by: (?<caughtBy>.+)\n/;
const edit = /^--- (?<file>.+)\n<{7}\n(?<find>[\s\S]+?)\n={7}\n(?:(?<put>[\s\S]*?)\n)?>{7}$/gm;

/** Every defect of this folder, a file each. @throws Error for a file that cannot be read as one */
export function readDefects(): Defect[] {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.patch'));
  return files.toSorted().map((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8');
    const { what, caughtBy } = header.exec(text)?.groups ?? {};
    const edits = [...text.matchAll(edit)].map(({ groups = {} }) => ({
      file: groups['file'] ?? '',
      find: groups['find'] ?? '',
      put: groups['put'] ?? '',
    }));
    if (what === undefined || caughtBy === undefined || edits.length === 0)
      throw new Error(`${file} is no defect: a header of two lines and an edit are wanted`);
    return { name: file.slice(0, -'.patch'.length), what, caughtBy, edits };
  });
}

/**
 * The files of a tree as the defect would have them, by name.
 *
 * @throws Error where a text to be replaced is not there, or twice: the code has moved on, and so must the patch
 */
export async function spoilt(root: string, { name, edits }: Defect): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { file, find, put } of edits) {
    const text = files.get(file) ?? (await readFile(join(root, file), 'utf8'));
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(
        `${name}.patch: ${file} has this text ${parts.length - 1} times, not once:\n${find}`,
      );
    files.set(file, parts.join(put));
  }
  return files;
}

/** Plants a defect in a tree; SQL functions are carried by a migration. Gives the way to take it out again. */
export async function plant(root: string, defect: Defect): Promise<() => Promise<void>> {
  const changed = await spoilt(root, defect);
  const functions = [...changed].filter(([file]) => file.startsWith('drizzle/functions/'));
  if (functions.length > 0) {
    const bodies = functions.map(([, sql]) => sql);
    for (const [file, text] of await migrationOf(root, bodies)) changed.set(file, text);
  }
  const before = new Map<string, string>();
  for (const [file, text] of changed) {
    before.set(file, await readFile(join(root, file), 'utf8').catch(() => ''));
    await writeFile(join(root, file), text);
  }
  return async () => {
    for (const [file, text] of before) await writeFile(join(root, file), text);
  };
}

const JOURNAL = 'drizzle/meta/_journal.json';

async function migrationOf(root: string, bodies: string[]): Promise<Map<string, string>> {
  const journal = JSON.parse(await readFile(join(root, JOURNAL), 'utf8')) as {
    entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[];
  };
  const last = journal.entries.at(-1);
  if (last === undefined) throw new Error(`${JOURNAL} is empty`);
  journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: 'planted' });
  return new Map([
    [JOURNAL, JSON.stringify(journal)],
    ['drizzle/planted.sql', bodies.join('\n--> statement-breakpoint\n')],
  ]);
}
