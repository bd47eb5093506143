import type { Storage } from '../storage.ts';

/**
 * The operations as one thread carries them out: none can begin before the one before it has ended, which is all
 * that makes each of them atomic.
 */
export type Synchronous = {
  [Name in keyof Storage]: (
    ...args: Parameters<Storage[Name]>
  ) => Awaited<ReturnType<Storage[Name]>>;
};

/** Copies what goes in and what comes out, so that nobody outside holds a piece of what is kept. */
export function asStorage(operations: Synchronous): Storage {
  const copying = Object.entries<(...args: never[]) => unknown>(operations).map(
    ([name, operation]) => [
      name,
      async (...args: never[]) => structuredClone(operation(...structuredClone(args))),
    ],
  );
  return Object.fromEntries(copying) as Storage;
}
