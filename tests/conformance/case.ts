import type { Harness, Open } from '../support/storage.ts';

/**
 * One question to a storage. It shares the storage with the others of its group, so it works on devices of its own;
 * `open` brings another, with other limits or with nobody else in it.
 */
export type Case = (harness: Harness, open: Open) => Promise<void>;
export type Cases = Readonly<Record<string, Case>>;

/** Runs over a storage of its own, and closes it. */
export async function on(
  opened: Promise<Harness>,
  run: (harness: Harness) => Promise<void>,
): Promise<void> {
  const harness = await opened;
  try {
    await run(harness);
  } finally {
    await harness.close();
  }
}
