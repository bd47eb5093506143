import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

const usage = `Usage: npm run secrets

Prints fresh random values for the secrets of a deployment, as lines for .env. Append them with
  npm run --silent secrets >> .env
or give each to the deployment with "vercel env add NAME". WHATSAPP_VERIFY_TOKEN is also entered at Meta, beside the
callback URL; the others of WhatsApp come from there.
`;

const names = ['API_KEYS', 'DEVICE_TOKEN_SECRET', 'CRON_SECRET', 'WHATSAPP_VERIFY_TOKEN'];

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
if (values.help === true) console.log(usage);
// 256 bits each, in letters that need no quoting anywhere
else for (const name of names) console.log(`${name}=${randomBytes(32).toString('base64url')}`);
