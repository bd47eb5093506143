import { parseArgs } from 'node:util';
import { restore } from './backup/read.ts';
import {
  loadSettings,
  openDatabase,
  runCommand,
  settingsOptions,
  settingsUsage,
} from './connect.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run restore -- FILE

Puts what "npm run backup" wrote into an empty database that was migrated ("npm run db:migrate") and that no
deployment uses yet. Broken off, it goes on where it was when you run it again; run once more, it changes nothing.

${settingsUsage}`;

const { values, positionals } = parseArgs({ options: settingsOptions, allowPositionals: true });

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const [file, ...others] = positionals;
  if (file === undefined || others.length > 0) {
    throw new StartupError('Name one file: npm run restore -- FILE');
  }
  await using running = new AsyncDisposableStack();
  const url = await openDatabase(loadSettings(values.settings), running);
  const { header, before, rows } = await restore(url, file);
  if (rows === 0 && before > 0) {
    console.log(`The backup of ${header.created_at} is restored already; nothing was changed.`);
    return;
  }
  const resumed = before > 0 ? `; ${before} were there from before` : '';
  console.log(`${rows} rows of the backup of ${header.created_at} restored${resumed}.`);
  console.log('Next: point DATABASE_URL of the deployment here, and ask GET /api/health.');
});
