import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listenLocally } from '../../../dev/listen.ts';
import { createTraps } from '../traps.ts';
import type { Trap, Wire } from '../storage.ts';

/** The line of an instance that speaks to PostgreSQL over TCP. @param targetUrl of a database */
export async function startWire(targetUrl: string): Promise<Wire> {
  const target = new URL(targetUrl);
  const lines = new Set<Line>();
  const { trapFor, noteAnswer, ...controls } = createTraps();

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    const line = joined(client, upstream, trapFor, noteAnswer);
    lines.add(line);
    client.on('close', () => lines.delete(line));
  });
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(await listenLocally(server));
  return {
    ...controls,
    env: { DATABASE_URL: url.href },
    silence: () => lines.forEach((line) => line.silence()),
    async close() {
      for (const line of lines) line.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Line {
  silence(): void;
  destroy(): void;
}

/** Passes both directions on, the client's statement by statement. */
function joined(
  client: Socket,
  upstream: Socket,
  trapFor: (name: string) => Trap | null,
  onAnswer: (name: string) => void,
): Line {
  let dead = false;
  /** What has to wait while a statement or its answer is stopped. */
  let stopped: { toServer: Buffer[]; toClient: Buffer[] } | null = null;
  let onReady: (() => void) | null = null;
  /** What the server is at; the driver sends one statement at a time. */
  let current: string | null = null;
  const destroy = () => {
    client.destroy();
    upstream.destroy();
  };
  const halt = (sprung: Trap['sprung']): void =>
    sprung({
      release() {
        const { toServer = [], toClient = [] } = stopped ?? {};
        stopped = null;
        for (const chunk of toServer) upstream.write(chunk);
        for (const chunk of toClient) client.write(chunk);
      },
      cut: destroy,
    });

  const statements = batches((bytes, name) => {
    if (dead) return;
    if (stopped !== null) return void stopped.toServer.push(bytes);
    const trap = name === null ? null : trapFor(name);
    current = name;
    if (trap === null) return void upstream.write(bytes);
    stopped = { toServer: trap.at === 'held' ? [bytes] : [], toClient: [] };
    if (trap.at === 'held') return halt(trap.sprung);
    if (trap.at === 'done') onReady = () => halt(trap.sprung);
    upstream.write(bytes, () => trap.at === 'sent' && halt(trap.sprung));
  });
  const answers = messages(false, (bytes, type) => {
    if (dead) return;
    if (stopped === null) client.write(bytes);
    else stopped.toClient.push(bytes);
    if (type !== 'Z') return;
    if (current !== null) onAnswer(current);
    current = null;
    onReady?.();
    onReady = null;
  });
  client.on('data', statements);
  upstream.on('data', answers);
  // what the server has it goes on with, as behind a real line: the end follows what was sent
  client.on('close', () => upstream.end());
  upstream.on('close', () => dead || client.destroy());
  for (const socket of [client, upstream]) socket.on('error', destroy);
  return { silence: () => void (dead = true), destroy };
}

/** Cuts one direction of the protocol into messages: a type byte and a length; the first of a client has no type. */
function messages(startsBare: boolean, on: (bytes: Buffer, type: string) => void) {
  let pending = Buffer.alloc(0);
  let bare = startsBare;
  return (chunk: Buffer): void => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const head = bare ? 0 : 1;
      if (pending.length < head + 4) return;
      const end = head + pending.readInt32BE(head);
      if (pending.length < end) return;
      const bytes = pending.subarray(0, end);
      pending = pending.subarray(end);
      on(bytes, bare ? 'startup' : String.fromCharCode(bytes.readUInt8(0)));
      bare = false;
    }
  };
}

/** Gathers a client's messages up to each Sync: a statement, with the name it was prepared under. */
function batches(on: (bytes: Buffer, name: string | null) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let name: string | null = null;
  return messages(true, (bytes, type) => {
    parts.push(bytes);
    if (type === 'B') {
      // Bind: the portal's name, then the statement's, each ended by a zero
      const [, statement] = bytes.subarray(5).toString('latin1').split('\0', 2);
      name = statement ?? null;
    }
    if ('PBDEC'.includes(type)) return;
    on(Buffer.concat(parts), name);
    parts = [];
    name = null;
  });
}
