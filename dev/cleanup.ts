import { parseArgs } from 'node:util';
import { cleanUp } from '../lib/cleanup.ts';
import { openApp, loadSettings, runCommand, settingsOptions, settingsUsage } from './connect.ts';

const usage = `Usage: npm run cleanup

Does what GET /api/cron/cleanup does, until nothing is left to do: clears what has ended, purges what is past
RETENTION_DAYS, and picks up turns and replies that were let fall.

${settingsUsage}`;

/** Milliseconds between two lines of what was done so far. */
const roundMs = 10_000;

const { values } = parseArgs({ options: settingsOptions });

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  await using running = new AsyncDisposableStack();
  const app = await openApp(loadSettings(values.settings), running);
  for (let more = true; more;) {
    const frame = { requestId: crypto.randomUUID(), endsAt: performance.now() + roundMs };
    const report = await cleanUp(app, frame);
    ({ more } = report);
    console.log(
      `${report.expiredLocks} locks, ${report.expiredSessions} sessions and ${report.purgedMessages} messages cleared, ` +
        `${report.recoveredTurns} turns and ${report.resentReplies} replies picked up, in ${report.durationMs} ms` +
        (more ? '; there is more' : ''),
    );
    await app.writeCounts();
  }
});
