import { parseArgs } from 'node:util';
import { limitsOf } from '../lib/app.ts';
import { withClient } from './backup/connection.ts';
import { openDatabase, readSettings, runCommand, settingsOptions } from './connect.ts';
import { moveAll } from './migrate-storage/run.ts';
import { openPostgresSide } from './migrate-storage/postgres.ts';
import { openRedisSide } from './migrate-storage/redis.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run migrate-storage -- --from redis --to postgres
       npm run migrate-storage -- --from postgres --to redis

Moves everything that is kept from one storage to the other, and compares both at the end. The target must be empty; the
source stays as it is. No traffic may come meanwhile, nor the cron: stop the deployment, move, set STORAGE to the target,
and start it again. Broken off, it goes on where it was when you run it again; run once more when it is done, it
changes nothing.

  --dry-run  counts what would be moved, and writes nothing
  --trim     leaves behind what is more than Redis keeps: of a session the last SESSION_MAX_MESSAGES_KEPT messages

PostgreSQL is the database of DATABASE_URL or, where that is not set, the one of "npm run dev"; Redis is the one of
UPSTASH_REDIS_REST_URL and _TOKEN, under REDIS_KEY_PREFIX. Settings come from the environment and from .env, or from
another file:
  --settings FILE  such as the one that "vercel env pull" writes
`;

const { values } = parseArgs({
  options: {
    ...settingsOptions,
    from: { type: 'string' },
    to: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    trim: { type: 'boolean', default: false },
  },
});

process.once('SIGINT', () => {
  console.error('\nBroken off. Run it again, and it goes on.');
  process.exit(130);
});

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const way = `${values.from} to ${values.to}`;
  if (way !== 'redis to postgres' && way !== 'postgres to redis') {
    throw new StartupError(
      'Say from where and where to: npm run migrate-storage -- --from redis --to postgres',
    );
  }
  const config = readSettings(values.settings);
  const { cache } = config;
  if (cache === null) throw new StartupError('UPSTASH_REDIS_REST_URL must be set, and its token.');
  await using running = new AsyncDisposableStack();
  const url = await openDatabase(config, running);
  await withClient(url, (reader) =>
    withClient(url, async (writer) => {
      const postgres = await openPostgresSide({ reader, writer }, config.retentionDays);
      const redis = await openRedisSide(cache, { ...config.redis, limits: limitsOf(config) });
      const options = { isDry: values['dry-run'], mayTrim: values.trim };
      await moveAll({ postgres, redis }, way === 'postgres to redis', options);
    }),
  );
});
