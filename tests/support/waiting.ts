import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again until it is true, and fails when that takes too long. */
export async function until(
  what: string,
  isTrue: () => Promise<boolean>,
  seconds = 60,
): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`still not true after ${seconds} s: ${what}`);
    await sleep(10);
  }
}

/** Waits for a promise, but not for ever. */
export async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = sleep(seconds * 1_000, undefined, { signal: controller.signal }).then(() => {
    throw new Error(`${what} took longer than ${seconds} s`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    controller.abort();
    late.catch(() => {});
  }
}
