import { NeonDbError } from '@neondatabase/serverless';
import { DrizzleQueryError } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../../lib/storage/postgres/failures.ts';

// What becomes of a statement that failed: tried again, or told, and as what.

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const withCode = (code: string) => Object.assign(new Error('secret words'), { code });

/** As the driver gives it to Drizzle, and Drizzle to us. */
const wrapped = (cause: Error) => new DrizzleQueryError('select secret', ['secret'], cause);

/** Of fetch, as Neon's driver wraps it. */
function unreachable(code: string): Error {
  const error = new NeonDbError('Error connecting to database: fetch failed');
  error.sourceError = new TypeError('fetch failed', { cause: withCode(code) });
  return error;
}

/** Runs a statement that fails in these ways, each after so many milliseconds, and then succeeds. */
async function played(failures: [after: number, error: Error][], repeatable = false) {
  const left = [...failures];
  let tries = 0;
  const outcome = run(async () => {
    tries++;
    const next = left.shift();
    if (next === undefined) return 'done';
    vi.advanceTimersByTime(next[0]);
    throw wrapped(next[1]);
  }, repeatable).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return { outcome: await outcome, tries };
}

const unavailable = expect.objectContaining({ code: 'storage_unavailable' });

describe('refused: nothing was written', () => {
  it.each([
    ['40001', 'an identity moved while it waited'],
    ['40P01', 'a deadlock'],
    ['55P03', 'a lock not to be had'],
    ['53300', 'too many connections'],
    ['57P03', 'the server starts'],
    ['ECONNREFUSED', 'nobody listens'],
  ])('%s (%s) is tried again, whether or not that may be done twice', async (code) => {
    expect(await played([[0, withCode(code)]])).toEqual({ outcome: 'done', tries: 2 });
  });

  it('also over HTTP, where the reason is further down', async () => {
    expect(await played([[0, unreachable('ECONNREFUSED')]])).toEqual({ outcome: 'done', tries: 2 });
  });

  it('four times at most', async () => {
    const always = Array.from({ length: 9 }, (): [number, Error] => [0, withCode('40001')]);
    expect(await played(always)).toEqual({ outcome: unavailable, tries: 5 });
  });

  it('also after a wait for a lock, or for a deadlock to be found, which takes PostgreSQL a second', async () => {
    expect(await played([[1_500, withCode('40P01')]])).toEqual({ outcome: 'done', tries: 2 });
  });

  it('but not once the caller has waited for three seconds', async () => {
    expect(await played([[3_001, withCode('40001')]])).toEqual({ outcome: unavailable, tries: 1 });
  });
});

describe('broken: nobody knows whether it happened', () => {
  it.each([
    ['ECONNRESET', withCode('ECONNRESET')],
    ['57P01, the server was told to stop', withCode('57P01')],
    ['08006', withCode('08006')],
    ['58030', withCode('58030')],
    ['an error of HTTP', unreachable('UND_ERR_SOCKET')],
    ['a code with a digit', unreachable('ERR_HTTP2_ERROR')],
    ['no code', new Error('Connection terminated unexpectedly')],
  ])(
    '%s is told, and tried once more only where that finds its own work done',
    async (_, error) => {
      expect(await played([[0, error]])).toEqual({ outcome: unavailable, tries: 1 });
      expect(await played([[0, error]], true)).toEqual({ outcome: 'done', tries: 2 });
      const twice: [number, Error][] = [
        [0, error],
        [0, error],
      ];
      expect(await played(twice, true)).toEqual({ outcome: unavailable, tries: 2 });
    },
  );

  it('not after a second', async () => {
    const late: [number, Error][] = [[1_001, withCode('ECONNRESET')]];
    expect(await played(late, true)).toEqual({ outcome: unavailable, tries: 1 });
  });
});

describe('anything else', () => {
  it('too large a state is the caller’s', async () => {
    const { outcome } = await played([[0, withCode('ZB001')]], true);
    expect(outcome).toMatchObject({ code: 'state_too_large' });
  });

  it.each(['42601', '22P02', '23505'])('%s is a defect, named by its code alone', async (code) => {
    const { outcome, tries } = await played([[0, withCode(code)]], true);
    expect(outcome).toMatchObject({
      code: 'internal_error',
      message: expect.stringContaining(code),
    });
    expect(String(outcome)).not.toContain('secret');
    expect(tries).toBe(1);
  });
});
