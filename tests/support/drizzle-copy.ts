import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { folder } from '../../drizzle/files.ts';

/** A copy of drizzle/ that may be spoilt. */
export interface DrizzleCopy {
  write(file: string, text: string): Promise<void>;
  /** Replaces a part of a file that is there once. */
  replace(file: string, part: string | RegExp, by: string): Promise<void>;
  remove(file: string): Promise<void>;
}

/** What drizzle/check.ts says, a sentence each, of a copy of drizzle/ after `spoil` was there. */
export async function checkCopy(spoil: (copy: DrizzleCopy) => Promise<void>): Promise<string[]> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'baton-drizzle-')));
  try {
    const copy = join(root, 'drizzle');
    await cp(folder, copy, { recursive: true });
    await writeFile(join(root, 'package.json'), '{"type":"module"}');
    await symlink(join(dirname(folder), 'node_modules'), join(root, 'node_modules'), 'junction');
    await spoil({
      write: (file, text) => writeFile(join(copy, file), text),
      async replace(file, part, by) {
        const before = await readFile(join(copy, file), 'utf8');
        const after = before.replace(part, () => by);
        if (after === before) throw new Error(`nothing to replace in ${file}`);
        await writeFile(join(copy, file), after);
      },
      remove: (file) => rm(join(copy, file)),
    });
    return await run(join(copy, 'check.ts'));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function run(script: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [script], (error, stdout, stderr) => {
      const sentences = stderr.split('\n').filter((line) => line !== '');
      const passed = error === null && stdout === 'schema, functions and migrations are in step\n';
      const refused = error?.code === 1 && sentences.length > 0;
      if (passed || refused) resolve(sentences);
      else reject(new Error(`check.ts ended with ${String(error?.code)}: ${stdout}${stderr}`));
    });
  });
}
