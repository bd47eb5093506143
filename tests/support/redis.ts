import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'vitest';

/** What Redis answers. A status, such as `OK`, is told from a string of the same letters. */
export type RedisReply = string | number | null | { status: string } | (RedisReply | RedisError)[];

/** An error that Redis itself answered, such as `NOSCRIPT …`. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
}

/** A real redis-server of its own, on a socket in a folder of its own, which keeps nothing on disk. */
export interface RedisServer {
  /** Sends one command. @throws {RedisError} what Redis refused; Error when there is no server */
  send(command: readonly (string | Buffer)[]): Promise<RedisReply>;
  /** As kill -9 does: everything it held is gone. */
  kill(): Promise<void>;
  /** A new one in its place, empty. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

const withoutRedis = (name: string): void => {
  it(name, (context) => context.skip('redis-server is not installed'));
};

/**
 * A group of tests over a real Redis. Where no redis-server is installed (Debian's package of that name brings one) a
 * single test stands for them, and says why it is skipped.
 */
export const withRedis: (name: string, suite: () => void) => void = hasRedis
  ? describe
  : withoutRedis;

/** Also where this process is killed and can end nothing itself. */
const endsWithUs = process.platform === 'linux' ? ['setpriv', '--pdeathsig', 'KILL', '--'] : [];

export async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-redis-'));
  const path = join(folder, 'redis.sock');
  let server: ChildProcess;
  let wire: Socket;
  let waiting: PromiseWithResolvers<RedisReply>[] = [];

  const start = async (): Promise<void> => {
    const settings = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no'];
    const [program = '', ...words] = [...endsWithUs, 'redis-server', '--dir', folder, ...settings];
    server = spawn(program, words, { stdio: 'ignore' });
    for (;;) {
      const [socket] = await Promise.all([tryConnect(path), sleep(5)]);
      if (socket !== null) {
        wire = socket;
        break;
      }
      if (server.exitCode !== null) throw new Error('redis-server has ended');
    }
    wire.on(
      'data',
      createDecoder((reply) => settle(waiting.shift(), reply)),
    );
    wire.on('close', () => {
      for (const one of waiting) one.reject(new Error('redis-server is gone'));
      waiting = [];
    });
    wire.on('error', () => {});
  };
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
    wire.destroy();
    rmSync(path, { force: true });
  };
  await start();
  return {
    send(command) {
      const answer = Promise.withResolvers<RedisReply>();
      if (wire.destroyed) return Promise.reject(new Error('redis-server is gone'));
      waiting.push(answer);
      wire.write(encode(command));
      return answer.promise;
    },
    kill,
    async restart() {
      await kill();
      await start();
    },
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function tryConnect(path: string): Promise<Socket | null> {
  const socket = connect(path);
  return once(socket, 'connect').then(
    () => socket,
    () => null,
  );
}

function settle(one: PromiseWithResolvers<RedisReply> | undefined, reply: Decoded): void {
  if (reply instanceof RedisError) one?.reject(reply);
  else one?.resolve(reply);
}

/** A command in RESP, Redis's protocol: an array of strings, each after its length in bytes. */
function encode(command: readonly (string | Buffer)[]): Buffer {
  const parts = command.flatMap((word) => {
    const bytes = Buffer.from(word);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${command.length}\r\n`), ...parts]);
}

type Decoded = RedisReply | RedisError;

/** Takes RESP as it comes in, and tells each whole reply. */
function createDecoder(onReply: (reply: Decoded) => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const decoded = decode(pending, 0);
      if (decoded === null) return;
      pending = pending.subarray(decoded.end);
      onReply(decoded.reply);
    }
  };
}

/** The reply that begins at a place, and where it ends; null: there is more to come. */
function decode(bytes: Buffer, at: number): { reply: Decoded; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd === -1) return null;
  const type = String.fromCharCode(bytes.readUInt8(at));
  const line = bytes.toString('utf8', at + 1, lineEnd);
  const next = lineEnd + 2;
  if (type === '+') return { reply: { status: line }, end: next };
  if (type === '-') return { reply: new RedisError(line), end: next };
  if (type === ':') return { reply: Number(line), end: next };
  const length = Number(line);
  if (length === -1) return { reply: null, end: next };
  if (type === '$') {
    const end = next + length;
    return bytes.length < end + 2
      ? null
      : { reply: bytes.toString('utf8', next, end), end: end + 2 };
  }
  const items: Decoded[] = [];
  let end = next;
  for (let i = 0; i < length; i++) {
    const item = decode(bytes, end);
    if (item === null) return null;
    items.push(item.reply);
    ({ end } = item);
  }
  return { reply: items, end };
}
