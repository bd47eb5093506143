import { spawnSync } from 'node:child_process';
import { StartupError } from '../startup-error.ts';

/** How to run PostgreSQL's programs, which refuse to run as root. */
export type Launcher = {
  /** Words to put before the program. */
  prefix: readonly string[];
  /** The user that must own the cluster, where it is not the user we are. */
  owner?: number;
};

const nobody = 65534;

/**
 * `pdeathsig` stops the server (INT: fast shutdown) when we are killed and cannot do it ourselves.
 * It must come last: a change of user clears it.
 */
const stopWithParent = words('setpriv --pdeathsig INT --');

/**
 * A user namespace in which root is nobody: the files stay root's, no user is made, nothing is
 * chowned, and a folder under a private home works. Containers often refuse it.
 */
const asNobodyInNamespace: Launcher = {
  prefix: [
    ...words(`unshare --user --map-user=${nobody} --map-group=${nobody} --`),
    ...stopWithParent,
  ],
};

/** Really nobody, who may still walk through the private folders root started us from. */
const asNobody: Launcher = {
  prefix: [
    ...words(`setpriv --reuid=${nobody} --regid=${nobody} --clear-groups`),
    ...words('--inh-caps=+dac_override --ambient-caps=+dac_override --'),
    ...stopWithParent,
  ],
  owner: nobody,
};

const plainNobody: Launcher = { prefix: [], owner: nobody };

/**
 * Picks the first way to run `program` that works here, by trying `program --version`.
 *
 * @throws {StartupError} when none does, as on a Linux without glibc.
 */
export function findLauncher(program: string, uid = process.getuid?.()): Launcher {
  const candidates =
    uid === 0
      ? [asNobodyInNamespace, asNobody, plainNobody]
      : [{ prefix: stopWithParent }, { prefix: [] }];
  let reason = '';
  for (const launcher of candidates) {
    const [command, ...args] = commandLine(launcher, program, ['--version']);
    const attempt = spawnSync(command, args, { encoding: 'utf8', ...identity(launcher) });
    if (attempt.status === 0) return launcher;
    reason = attempt.error?.message ?? attempt.stderr.trim();
  }
  throw new StartupError(
    `The embedded PostgreSQL does not run on this machine (${reason}): ` +
      'set DATABASE_URL to a PostgreSQL of your own.',
  );
}

/** The words to spawn: the launcher's, then the program and its arguments. */
export function commandLine(
  { prefix }: Launcher,
  program: string,
  args: readonly string[],
): [string, ...string[]] {
  const [command, ...rest] = [...prefix, program, ...args];
  return [command ?? program, ...rest];
}

/** Spawn options for a launcher that has no program to change the user with. */
export function identity({ prefix, owner }: Launcher): { uid?: number; gid?: number } {
  return owner === undefined || prefix.length > 0 ? {} : { uid: owner, gid: owner };
}

function words(text: string): string[] {
  return text.split(' ');
}
