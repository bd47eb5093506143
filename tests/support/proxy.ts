import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { listenLocally } from '../../dev/listen.ts';

/** A server reached through a wire that can be measured and broken. */
export type Proxy = {
  url: string;
  /** Round trips since the last reset: simple queries and Syncs that clients sent. */
  count(): number;
  reset(): void;
  /** Swallows everything from now on, in both directions; new connections are taken and hang. */
  hang(): void;
  /** Breaks every connection, and each new one at once. */
  cut(): void;
  /** Passes new connections on again; those that hung get what was held back. */
  resume(): void;
  close(): Promise<void>;
};

type Mode = 'pass' | 'hang' | 'cut';

/** Listens on a free port in front of the PostgreSQL server that `targetUrl` names. */
export async function startProxy(targetUrl: string): Promise<Proxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let mode: Mode = 'pass';
  let trips = 0;

  const server = createServer((client) => {
    if (mode === 'cut') return void client.destroy();
    const upstream = connect(Number(target.port), target.hostname);
    const countTrips = roundTripCounter(() => trips++);
    client.on('data', countTrips);
    join(client, upstream);
    join(upstream, client);
    if (mode === 'hang') for (const socket of [client, upstream]) socket.pause();
  });

  function join(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on('data', (chunk) => to.write(chunk));
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }

  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(await listenLocally(server));

  return {
    url: url.href,
    count: () => trips,
    reset: () => void (trips = 0),
    hang() {
      mode = 'hang';
      for (const socket of sockets) socket.pause();
    },
    cut() {
      mode = 'cut';
      for (const socket of sockets) socket.destroy();
    },
    resume() {
      mode = 'pass';
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Follows one client's side of the PostgreSQL protocol. Messages are a type byte and a length;
 * only the first, the start-up message, has no type. Authentication messages are of type `p`, so
 * that they are not counted.
 */
function roundTripCounter(onTrip: () => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const head = started ? 1 : 0;
      if (pending.length < head + 4) return;
      const end = head + pending.readInt32BE(head);
      if (pending.length < end) return;
      const type = started ? String.fromCharCode(pending.readUInt8(0)) : 'startup';
      if (type === 'Q' || type === 'S') onTrip();
      started = true;
      pending = pending.subarray(end);
    }
  };
}
