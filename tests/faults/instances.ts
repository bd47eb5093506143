import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { LogEvent } from '../../lib/log.ts';
import type { Told } from './instance.ts';
import { leaks } from './leaks.ts';
import type { Reach } from './storage.ts';

/** A running instance of the deployment, and what can happen to it. */
export interface Instance {
  url: string;
  /** Milliseconds its clock was ahead of ours when it began to serve. */
  ahead: number;
  /** Ends once agents of so many turns stand waiting; gives their devices. */
  untilWaiting(turns: number): Promise<string[]>;
  /** Lets the waiting agents go on, also those of a paused instance once it wakes. */
  letGo(): void;
  /** How often this was logged as a warning or an error. */
  logged(event: string, fields?: Record<string, unknown>): number;
  /** SIGSTOP: it notices nothing, as an instance that the platform froze. */
  pause(): void;
  /** SIGCONT. */
  wake(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export const SECRET = 'app-secret-of-the-fault-tests';
export const CRON_SECRET = 'cron-secret-of-the-fault-tests-000';

export interface InstanceOptions {
  database: Reach;
  /** Where its replies go; none: they are stored and not sent. */
  phonesUrl?: string;
  /** Settings of the deployment beside those. */
  env?: Record<string, string>;
  /** Words that its agent obeys; instance.ts says which there are. */
  obeys?: readonly ('wait' | 'twice' | 'throw' | 'hang')[];
  /** Minutes its clock is ahead; needs libfaketime. */
  clock?: number;
}

/** Debian's libfaketime, or null. It moves the clock of a program without the program's knowledge. */
export function findFaketime(): string | null {
  return globSync('/usr/lib{,64,/*-linux-*}/faketime/libfaketime.so.1')[0] ?? null;
}

/** Starts an instance and gives it once it serves. @param file what `bundleInstance` wrote */
export async function startInstance(file: string, options: InstanceOptions): Promise<Instance> {
  const child = fork(file, {
    env: environment(options),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const instance = controls(child);
  const ended = endOf(child);
  ended.catch(() => {}); // once it serves, it may
  return Object.assign(instance, await Promise.race([instance.serving, ended]));
}

function environment({ database, phonesUrl, env, obeys = [], clock = 0 }: InstanceOptions) {
  return {
    PATH: process.env['PATH'],
    ...database.env,
    CRON_SECRET,
    WHATSAPP_APP_SECRET: SECRET,
    TURN_LEASE: '1',
    RESEND_AFTER: '1',
    REPLY_WAIT: '1',
    RATE_LIMIT: '0',
    FAULTS_OBEYS: obeys.join(),
    ...(phonesUrl !== undefined && {
      WHATSAPP_ACCESS_TOKEN: 'token',
      WHATSAPP_API_URL: phonesUrl,
    }),
    ...(clock !== 0 && {
      LD_PRELOAD: findFaketime() ?? '',
      FAKETIME: `${clock > 0 ? '+' : ''}${clock}m`,
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }),
    ...env,
  };
}

async function endOf(child: ChildProcess): Promise<never> {
  const [words, [code, signal]] = await Promise.all([
    child.stderr === null ? '' : text(child.stderr),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  throw new Error(`an instance ended (${code ?? signal}) before it served:\n${words}`);
}

function controls(child: ChildProcess) {
  const serving = Promise.withResolvers<{ url: string; ahead: number }>();
  const waiting = new Set<string>();
  const events: LogEvent[] = [];
  let looked = (): void => {};
  child.on('message', (told: Told) => {
    if (told.kind === 'serves') serving.resolve({ url: told.url, ahead: told.clock - Date.now() });
    else if (told.kind === 'waits') {
      waiting.add(told.device);
      looked();
    } else {
      leaks.logged(told.event);
      if (['warn', 'error'].includes(told.event.level)) events.push(told.event);
    }
  });
  return {
    serving: serving.promise,
    untilWaiting: (turns: number) =>
      new Promise<string[]>((resolve) => {
        looked = () => waiting.size >= turns && resolve([...waiting]);
        looked();
      }),
    letGo() {
      for (const device of waiting) child.send({ go: device });
      waiting.clear();
    },
    logged: (event: string, fields: Record<string, unknown> = {}) =>
      events.filter(
        (entry) =>
          entry.event === event &&
          Object.entries(fields).every(([name, value]) => entry[name] === value),
      ).length,
    pause: () => void child.kill('SIGSTOP'),
    wake: () => void child.kill('SIGCONT'),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
