import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { type Config, readConfig } from '../lib/config.ts';
import { checkCache } from './doctor/cache.ts';
import { checkDatabase } from './doctor/database.ts';
import { type Finding, todo } from './doctor/finding.ts';
import { checkAccess } from './doctor/settings.ts';
import { checkWhatsApp } from './doctor/whatsapp.ts';

const usage = `Usage: npm run doctor [-- --settings FILE]

Looks at the settings, the database, the cache and WhatsApp, and says in a line each what is well and what to do. It
writes nothing and sends no message. Settings come from the environment and from .env, as in "npm run dev". For those
of a deployment:
  vercel env pull .env.production.local --environment production
  npm run doctor -- --settings .env.production.local

Exit code 1: something must be done.
`;

const marks = {
  ok: styleText('green', 'ok   '),
  note: 'note ',
  todo: styleText('red', 'TO DO'),
} as const;

async function diagnose(config: Config): Promise<Finding[]> {
  const [database, cache, whatsapp] = await Promise.all([
    checkDatabase(config),
    checkCache(config),
    checkWhatsApp(config),
  ]);
  return [...checkAccess(config), ...database, cache, ...whatsapp];
}

async function main(file: string | undefined): Promise<void> {
  const usual = resolve(import.meta.dirname, '../.env');
  if (file !== undefined || existsSync(usual)) process.loadEnvFile(file ?? usual);
  const read = readConfig(process.env);
  const findings = read.ok
    ? await diagnose(read.config)
    : read.mistakes.map((mistake) => todo('settings', mistake));
  for (const { topic, grade, text } of findings) {
    console.log(`${marks[grade]}  ${topic.padEnd(14)}${text}`);
  }
  const open = findings.filter(({ grade }) => grade === 'todo').length;
  console.log(open === 0 ? 'nothing to do' : `${open} to do`);
  process.exitCode = open === 0 ? 0 : 1;
}

const { values } = parseArgs({
  options: {
    settings: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const file = values.settings;
if (values.help === true) console.log(usage);
else if (file !== undefined && !existsSync(file)) {
  console.error(`There is no file ${file}.`);
  process.exitCode = 1;
} else await main(file);
