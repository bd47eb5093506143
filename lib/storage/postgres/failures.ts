import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../errors.ts';

/**
 * What a failed statement means. `refused`: it did not happen, and the same call again may succeed (a lost race,
 * or a server that would not take it). `broken`: nobody knows whether it happened.
 */
type Failure = 'refused' | 'broken' | 'too_large' | 'ours';

/**
 * SQLSTATEs after which nothing was written: serialization failure, deadlock, lock not available, too many
 * connections, cannot connect now (PostgreSQL manual, appendix A). And Node's, where nobody listens.
 */
const REFUSED = new Set(['40001', '40P01', '55P03', '53300', '57P03', 'ECONNREFUSED']);
/** Five characters, of which one at least is a digit: Node's codes are longer, or have none. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;
/** Raised by functions/baton_fitting_v1.sql. */
const TOO_LARGE = 'ZB001';

/**
 * The SQLSTATE or system error code. Drizzle wraps the driver's error, and Neon's driver that of fetch; only the code
 * is looked at, for messages hold parameters.
 */
function codeOf(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = 'sourceError' in e ? e.sourceError : e.cause) {
    if ('code' in e && typeof e.code === 'string') return e.code;
  }
  return undefined;
}

function classify(error: unknown): Failure {
  const code = codeOf(error);
  if (code === TOO_LARGE) return 'too_large';
  if (code === undefined) return 'broken'; // many connection errors carry no code at all
  if (REFUSED.has(code)) return 'refused';
  // not Node's, and none of connection exceptions, insufficient resources, operator intervention and system errors
  return SQLSTATE.test(code) && !/^(08|53|57|58)/.test(code) ? 'ours' : 'broken';
}

/** Tries of a refused call, 10, 20, 40 and 80 ms apart: a deadlock or a moved identity is over by then. */
const TRIES = 5;
/**
 * A call that has taken longer than this (ms) is not begun again: the caller has waited enough. A refused one has
 * more: it stood in a queue for the row that moved, or for the second after which PostgreSQL looks for a deadlock.
 */
const PATIENCE = { refused: 3_000, broken: 1_000 } as const;

/**
 * Runs one statement and turns its failures into Baton's own: the caller learns that storage is unavailable, or
 * the state too large, never the statement or its parameters.
 *
 * A refused statement is repeated. One whose fate is unknown is repeated once where `repeatable` says that a
 * repetition finds its own work done; it is what a connection that died in the pool looks like.
 *
 * @throws {BatonError} `storage_unavailable` (try again later), `state_too_large`, `internal_error` (a defect)
 */
export async function run<T>(statement: () => PromiseLike<T>, repeatable: boolean): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await statement();
    } catch (error) {
      const failure = classify(error);
      if (failure === 'too_large') {
        throw new BatonError(
          'state_too_large',
          'The conversation state would grow past MAX_STATE_BYTES; nothing was written. Send less',
        );
      }
      if (failure === 'ours') {
        throw new BatonError(
          'internal_error',
          `The database refused a statement (${codeOf(error)}); this is a defect of Baton, please report it`,
        );
      }
      const again = failure === 'refused' ? attempt < TRIES : repeatable && attempt === 1;
      if (!again || performance.now() - started > PATIENCE[failure]) {
        throw new BatonError(
          'storage_unavailable',
          'The database cannot be reached; try again in a few seconds',
        );
      }
      await sleep(5 * 2 ** attempt);
    }
  }
}
