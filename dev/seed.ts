import { parseArgs } from 'node:util';
import pg from 'pg';
import {
  loadSettings,
  openDatabase,
  runCommand,
  settingsOptions,
  settingsUsage,
} from './connect.ts';
import { showProgress } from './progress.ts';
import { EACH, PER_USER, seed } from './seed/rows.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run seed -- --messages N

Makes chat sessions of ${EACH} messages each, ${PER_USER} for each user (seed-0, seed-1, …), beside what is there, so that you see how the
deployment does with much. In production it refuses.

${settingsUsage}`;

const { values } = parseArgs({ options: { ...settingsOptions, messages: { type: 'string' } } });

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const messages = Number(values.messages);
  if (!Number.isInteger(messages) || messages < 1 || messages > 100_000_000) {
    throw new StartupError('Say how many: npm run seed -- --messages 100000');
  }
  const config = loadSettings(values.settings);
  if (config.production) {
    throw new StartupError('VERCEL_ENV is production: made-up sessions have no place there.');
  }
  await using running = new AsyncDisposableStack();
  const client = new pg.Client({ connectionString: await openDatabase(config, running) });
  await client.connect();
  running.defer(() => client.end());

  const { rows } = await client.query<{ last: number | null }>(
    `SELECT max(substr(user_id, 6)::int) AS last FROM chat_sessions WHERE user_id ~ '^seed-\\d{1,8}$'`,
  );
  const from = ((rows[0]?.last ?? -1) + 1) * PER_USER;
  const sessions = Math.ceil(messages / EACH);
  const progress = showProgress(sessions * EACH, 'messages');
  await seed(client, from, from + sessions, progress.add);
  progress.end();
  await client.query('ANALYZE');
  const users = `seed-${from / PER_USER} to seed-${Math.floor((from + sessions - 1) / PER_USER)}`;
  console.log(`${sessions * EACH} messages in ${sessions} chat sessions of the users ${users}`);
});
