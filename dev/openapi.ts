import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openApiDocument } from './openapi/document.ts';
import { accessTable } from './openapi/table.ts';
import { StartupError } from './startup-error.ts';

const usage = `Usage: npm run openapi

Writes public/openapi.json, which is served at /openapi.json, and the table of docs/security.md that says who may call
what. Both are made of the table of operations (lib/http/operations.ts), the schemas that the functions parse requests
with (lib/http/*-fields.ts), and what dev/openapi/ says of each; a test fails where they are not in step.
`;

const root = resolve(import.meta.dirname, '..');

async function main(): Promise<void> {
  const document = `${JSON.stringify(openApiDocument(), null, 1)}\n`;
  await writeFile(join(root, 'public/openapi.json'), document);
  console.log(`public/openapi.json: ${document.length} bytes`);

  const page = join(root, 'docs/security.md');
  const text = await readFile(page, 'utf8');
  const [before, rest] = text.split('<!-- operations: npm run openapi -->\n');
  const after = rest?.slice(rest.indexOf('<!-- /operations -->'));
  if (after === undefined)
    throw new StartupError('docs/security.md has lost its table of operations.');
  const table = `<!-- operations: npm run openapi -->\n\n${accessTable()}\n\n`;
  await writeFile(page, `${before}${table}${after}`);
  console.log('docs/security.md: its table of operations');
}

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
if (values.help === true) console.log(usage);
else {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof StartupError ? error.message : error);
    process.exitCode = 1;
  }
}
