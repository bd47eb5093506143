import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../startup-error.ts';
import { type Paths, readPassword, superuser } from './cluster.ts';

/** For an orphan to shut down, and for a parent that was killed this moment to be gone. */
const orphanMs = 10_000;
const parentMs = 1_000;

/** Notes whose server this is, for the start that finds it still running. */
export function recordOwner(paths: Paths, serverPid: number): void {
  writeFileSync(paths.owner, `${process.pid}\n${serverPid}\n`, { mode: 0o600 });
}

/**
 * Waits until no server uses the cluster. After a `kill -9` of its parent the old server may still be
 * shutting down or, where nothing tells it of the death, run on: it is told to stop.
 *
 * @throws {StartupError} when a living process owns the server, or somebody else started it.
 */
export async function awaitDeparture(paths: Paths): Promise<void> {
  const lockFile = join(paths.cluster, 'postmaster.pid');
  const started = Date.now();
  let told = false;
  for (;;) {
    const [server] = readPids(lockFile);
    if (server === undefined) return;
    if (!isServer(server)) {
      // Left by a crash. The number may meanwhile belong to another program (after a reboot, in a
      // new container), which PostgreSQL itself would take for its predecessor for ever.
      rmSync(lockFile, { force: true });
      return;
    }
    const [parent, child] = readPids(paths.owner);
    const orphan = child === server && parent !== undefined && !isAlive(parent);
    if (Date.now() - started > (orphan ? orphanMs : parentMs)) {
      throw new StartupError(
        `A database server (process ${server}) already uses ${paths.home}: ` +
          'stop it, or set DATA_DIR to another folder.',
      );
    }
    if (orphan && !told) told = process.kill(server, 'SIGINT');
    await sleep(20);
  }
}

/** The URL of the server that runs on the cluster at this moment; null: none does. */
export function findRunning(paths: Paths): string | null {
  const lines = readLines(join(paths.cluster, 'postmaster.pid'));
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (!Number.isInteger(port) || port === 0 || !isServer(pid)) return null;
  return `postgres://${superuser}:${readPassword(paths)}@127.0.0.1:${port}/postgres`;
}

/** Whether a folder is left from a process that was killed: neither it nor its server lives. */
export function isAbandoned(paths: Paths): boolean {
  const pids = readPids(paths.owner);
  return pids.length > 0 && !pids.some(isAlive);
}

function readPids(file: string): number[] {
  const [first, second] = readLines(file);
  return [Number(first), Number(second)].filter((pid) => Number.isInteger(pid) && pid > 0);
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function isServer(pid: number): boolean {
  return isAlive(pid) && (programName(pid) ?? 'postgres').includes('postgres');
}

function isAlive(pid: number): boolean {
  // A zombie, which nobody in a container may ever reap, still takes signals.
  if (linuxStatus(pid)?.state === 'Z') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function programName(pid: number): string | undefined {
  const ps = ['-o', 'comm=', '-p', String(pid)];
  return linuxStatus(pid)?.name ?? (spawnSync('ps', ps, { encoding: 'utf8' }).stdout || undefined);
}

function linuxStatus(pid: number): { name: string; state: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [, name, state] = /^\d+ \((.*)\) (\S)/s.exec(stat) ?? [];
    return name === undefined || state === undefined ? undefined : { name, state };
  } catch {
    return undefined;
  }
}
