// Serves what a deployment was compiled to, as the platform would, in a process of its own: `node served.ts
// CHECKOUT OUTPUT`, settings in its environment. Prints its URL as a line of JSON, then the functions' own log. For
// each line on standard input, `settle` or anything else, it prints the line again once that is true, and everything
// logged before stands before it. Ends with its standard input.
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startServer } from '../../dev/server.ts';

const [checkout = '', output = ''] = process.argv.slice(2);

// A deployment speaks to Neon under its own host; here its requests go to a bridge.
const bridge = process.env['TEST_NEON'];
if (bridge !== undefined) {
  const original = fetch;
  globalThis.fetch = (input, init) =>
    original(typeof input === 'string' && input.endsWith('/sql') ? bridge : input, init);
}

// Every call comes from somewhere else, or from where it says: some are limited per address, which a test's all share.
subscribe('http.server.request.start', (started) => {
  const { headers, socket } = (started as { request: IncomingMessage }).request;
  const value = headers['x-real-ip'] ?? crypto.randomUUID();
  Object.defineProperty(socket, 'remoteAddress', { value, configurable: true });
});

const server = await startServer({
  port: 0,
  root: checkout,
  fileOf(source) {
    const name = source.slice(0, -'.ts'.length);
    return join(output, 'functions', `${name}.func`, `${name}.js`);
  },
  onError: (error) => console.error(error),
});
console.log(JSON.stringify({ serving: server.url }));

const commands = createInterface({ input: process.stdin });
commands.on('close', () => process.exit());
commands.on('line', (line) => {
  void (async () => {
    if (line.startsWith('settle')) await server.settled();
    console.log(JSON.stringify({ told: line }));
  })();
});
