import { parseArgs } from 'node:util';
import { statsRecord } from '../lib/stats.ts';
import { openApp, loadSettings, runCommand, settingsOptions, settingsUsage } from './connect.ts';
import { StartupError } from './startup-error.ts';
import { tableLines } from './table.ts';

const usage = `Usage: npm run stats [-- --since 2026-11-01]

Prints what was going on since a day or a time (seven days ago): locks, hand-overs, chat sessions, messages, times to
answer, errors, the clean-up.

${settingsUsage}`;

type Record = ReturnType<typeof statsRecord>;
type Rows = readonly (readonly (string | number)[])[];

const seconds = (value: number | null) => (value === null ? '-' : value.toFixed(1));

/** A table of each part that has something to tell. */
function sectionsOf(stats: Record): [head: readonly string[], rows: Rows][] {
  const spread = { count: 'count', median: 'median, s', p95: '95th, s' };
  const spreads = (of: readonly (Record['answers'] & { agent: string })[]): Rows =>
    of.map((one) => [one.agent, one.count, seconds(one.median_seconds), seconds(one.p95_seconds)]);
  const { answers, sessions, messages, clean_up: cleanUp } = stats;
  return [
    [['active locks', ...Object.values(spread)], spreads(stats.active_locks)],
    [['held until the end', ...Object.values(spread)], spreads(stats.holdings)],
    [
      ['handed over', 'count'],
      stats.hand_overs.map(({ from, to, count }) => [`${from} → ${to}`, count]),
    ],
    [['answers', ...Object.values(spread)], spreads([{ agent: 'all', ...answers }])],
    [['chat sessions', ''], Object.entries(sessions).map(([name, n]) => [words(name), n])],
    [
      ['messages', 'user', 'assistant'],
      messages.per_day.map(({ day, user, assistant }) => [day, user, assistant]),
    ],
    [
      ['now', ''],
      [
        ['waiting', messages.waiting],
        ['set aside', messages.failed],
      ],
    ],
    [
      ['errors', 'count'],
      stats.errors.map(({ role, error, count }) => [
        `${role === 'user' ? 'message' : 'reply'}: ${error}`,
        count,
      ]),
    ],
    [['turns, ever', 'count'], Object.entries(stats.turns)],
    [
      ['clean-up, ever', ''],
      [
        ['last run', cleanUp.last_run?.toISOString() ?? 'never'],
        ['runs', cleanUp.runs],
        ...Object.entries(cleanUp.removed).map(([kind, n]) => [`${kind}s`, n]),
      ],
    ],
  ];
}

const words = (name: string) => name.replaceAll('_', ' ');

const { values } = parseArgs({ options: { ...settingsOptions, since: { type: 'string' } } });

await runCommand(async () => {
  if (values.help === true) return console.log(usage);
  const since = values.since === undefined ? null : new Date(values.since);
  if (since !== null && Number.isNaN(since.getTime())) {
    throw new StartupError('--since takes a day, such as 2026-11-01, or a time.');
  }
  await using running = new AsyncDisposableStack();
  const app = await openApp(loadSettings(values.settings), running);
  const stats = statsRecord(await app.storage.readStats(since));
  console.log(`${stats.since.toISOString()} to ${stats.until.toISOString()}`);
  for (const [head, rows] of sectionsOf(stats)) {
    if (rows.length > 0) console.log(`\n${tableLines(head, rows).join('\n')}`);
  }
});
