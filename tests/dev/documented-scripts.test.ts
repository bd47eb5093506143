import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DevServer, startDev } from '../support/dev-server.ts';
import { watchForLeaks } from '../support/leaks.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

// Scripts that the documents give to a reader, taken out of them and played against `npm run dev`.

const root = resolve(import.meta.dirname, '../..');
const API_KEY = 'the-api-key-of-the-documented-scripts';

const missing = ['bash', 'curl', 'jq'].filter(
  (program) => spawnSync(program, ['--version']).status !== 0,
);

/** The one script of a document with these words in it. */
async function scriptOf(file: string, words: string): Promise<string> {
  const document = await readFile(join(root, file), 'utf8');
  const scripts = [...document.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, script = '']) => script);
  const [script, ...others] = scripts.filter((each) => each.includes(words));
  if (script === undefined || others.length > 0)
    throw new Error(`${file} has ${others.length + (script ? 1 : 0)} scripts with ${words}`);
  return script;
}

/** What curl was answered, in order: what stands on the screen, and the status of every call. */
interface Played {
  shown: unknown[];
  statuses: number[];
}

/** @param env what the reader is asked to fill in */
async function play(
  script: string,
  url: string,
  env: Record<string, string> = {},
): Promise<Played> {
  // a line each; the status goes another way, for some answers are piped on
  const curl = `curl() { command curl -sS -w '%{stderr}%{http_code}\\n' "$@" && echo; }`;
  const words = `${curl}\n${script.replaceAll('http://127.0.0.1:3000', url)}`;
  const child = spawn('bash', ['-euo', 'pipefail', '-c', words], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  expect([child.exitCode, err]).toEqual([0, expect.stringMatching(/^(\d{3}\n)+$/)]);
  return {
    shown: linesOf(out).map((line): unknown => JSON.parse(line)),
    statuses: linesOf(err).map(Number),
  };
}

const marked = (word: string): unknown => expect.stringContaining(`<mark>${word}</mark>`);

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

const withPrograms: (name: string, suite: () => void) => void =
  missing.length === 0
    ? describe
    : (name) => it(name, (context) => context.skip(`not installed: ${missing.join(', ')}`));

/** `npm run dev` for the tests of a group; its log is searched for what they said when they are done. */
function server(env: Record<string, string> = {}): { readonly url: string } {
  let database: TestDatabase;
  let dev: DevServer;
  beforeAll(async () => {
    database = await createDatabase();
    dev = await startDev({ PORT: '0', DATABASE_URL: database.url, ...env });
  });
  afterAll(async () => {
    await dev.kill();
    await database.drop();
    const leaks = watchForLeaks();
    leaks.settings(env);
    for (const text of ['book an appointment', 'Happy to. What', 'When is it?', 'Hello! I can'])
      leaks.text(text);
    leaks.printed(dev.log);
    expect(leaks.find()).toEqual([]);
  });
  return {
    get url() {
      return dev.url;
    },
  };
}

withPrograms('scripts of the documents', () => {
  describe('against npm run dev as it is', () => {
    const dev = server();

    it('README.md, the first one: answered as it shows', async () => {
      const { shown } = await play(
        await scriptOf('README.md', 'POST http://127.0.0.1:3000/api/webhooks/web'),
        dev.url,
      );
      const document = await readFile(join(root, 'README.md'), 'utf8');
      const [, promised = ''] = /^```json\n(.*?)^```$/ms.exec(document) ?? [];
      const like = JSON.parse(promised, (_, value: unknown) =>
        value === '…' ? expect.any(String) : value,
      );
      expect(shown).toEqual([like]);
    });

    it('README.md, chat sessions: begun, answered, read, found by a word of the answer, deleted', async () => {
      const { shown, statuses } = await play(await scriptOf('README.md', 'chat/sessions'), dev.url);
      expect(statuses).toEqual([201, 200, 200, 200, 200]);
      const thread = [
        { role: 'user', content: 'Hello!' },
        { role: 'assistant', content: expect.stringContaining('appointments') },
      ];
      expect(shown).toMatchObject([
        { user_message: 'Hello!', assistant_response: thread[1]?.content, agent: 'manager' },
        { messages: thread, total_messages: 2 },
        { sessions: [{ user_id: 'test', matches: [{ snippet: marked('appointments') }] }] },
        { message: expect.stringContaining('deleted') },
      ]);
    });

    it('docs/chat-sessions.md: begun, answered, read, named, found by what was said, exported, deleted', async () => {
      const script = await scriptOf('docs/chat-sessions.md', 'chat/sessions');
      const { shown, statuses } = await play(script, dev.url);
      expect(statuses).toEqual([201, 200, 200, 200, 200, 200, 200]);
      const question = 'I would like to book an appointment';
      const metadata = { title: 'An appointment' };
      expect(shown).toMatchObject([
        { user_message: question, agent: 'scheduling' },
        { total_messages: 2 },
        { metadata },
        { sessions: [{ metadata, matches: [{ snippet: marked('appointment') }] }] },
        // the download, a line each
        { type: 'session', metadata },
        { type: 'message', role: 'user', content: question },
        { type: 'message', role: 'assistant' },
        { message: expect.stringContaining('deleted') },
      ]);
    });
  });

  describe('against one with an API key', () => {
    const dev = server({ API_KEYS: API_KEY });

    it('docs/storage.md: a conversation of another store, with thread, state and lock', async () => {
      const script = await scriptOf('docs/storage.md', 'old-1');
      const { shown, statuses } = await play(script, dev.url, { BASE: `${dev.url}/api`, API_KEY });
      expect(statuses).toEqual([201, 200, 200, 200, 200]);
      expect(shown).toMatchObject([
        { session_id: expect.any(String) },
        { turn: null },
        { state: { step: 'confirm' } },
        { active_agent: 'scheduling', session_ttl: 1800 },
      ]);
    });
  });
});
