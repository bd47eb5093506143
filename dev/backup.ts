import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { backUp } from './backup/write.ts';
import {
  loadSettings,
  openDatabase,
  runCommand,
  settingsOptions,
  settingsUsage,
} from './connect.ts';
import { StartupError } from './startup-error.ts';
import { tableLines } from './table.ts';

const usage = `Usage: npm run backup -- --out FILE

Writes everything that is kept into a file of JSON lines, as of one moment, while the deployment runs on. "npm run
restore" puts it into an empty database. The file is a secret: it holds what people wrote, and the keys of the
deployment by which messages are known again.

  --out FILE  must not exist; it is made readable for you alone

${settingsUsage}`;

const { values } = parseArgs({ options: { ...settingsOptions, out: { type: 'string' } } });

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  if (values.out === undefined)
    throw new StartupError('Say where to: npm run backup -- --out FILE');
  await using running = new AsyncDisposableStack();
  const url = await openDatabase(loadSettings(values.settings), running);
  const rows = await backUp(url, values.out);
  const { size } = await stat(values.out);
  console.log(tableLines(['table', 'rows'], Object.entries(rows)).join('\n'));
  console.log(`${values.out}: ${size} bytes. Keep it as you keep the database's password.`);
});
