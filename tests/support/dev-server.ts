import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** `npm run dev` in a process of its own, once it serves. */
export interface DevServer {
  url: string;
  /** Lines that it printed before it served. */
  said: readonly string[];
  /** Lines that it has printed since: its log. */
  log: readonly string[];
  process: ChildProcess;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** @param env its whole environment, but for PATH */
export async function startDev(
  env: Record<string, string>,
  errors: 'inherit' | 'ignore' = 'inherit',
): Promise<DevServer> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../dev/main.ts')], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', errors],
  });
  const said: string[] = [];
  const log: string[] = [];
  const serving = Promise.withResolvers<string>();
  const ended = `npm run dev ended before it served`;
  child.on('close', () => serving.reject(new Error([ended, ...said].join('\n'))));
  let url: string | null = null;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (url !== null) log.push(line);
    else if (/^http:\/\/127\.0\.0\.1:\d+$/.test(line)) serving.resolve((url = line));
    else said.push(line);
  });
  return {
    url: await serving.promise,
    said,
    log,
    process: child,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}
