/** Keeps callers away from what does not answer. */
export interface Breaker {
  /** What the call gives; null where it fails, or where it would have to wait for one that fails. */
  run<T>(call: () => Promise<T>): Promise<T | null>;
  readonly isOpen: boolean;
}

/**
 * Opens at the first failure: it has cost its caller the whole time-out. While it is open nobody waits; once in each
 * period one caller looks, beside its own work, whether there is an answer again.
 *
 * @param probe rejects while there is none
 * @param later takes work that nobody waits for
 * @param onChange told once when it opens, with the error, and once (null) when it closes
 */
export function createBreaker(
  periodMs: number,
  probe: () => Promise<unknown>,
  later: (work: Promise<unknown>) => void,
  onChange: (error: unknown) => void,
): Breaker {
  let isOpen = false;
  let probeAt = 0;

  const close = (): void => {
    isOpen = false;
    onChange(null);
  };
  return {
    get isOpen() {
      return isOpen;
    },
    async run(call) {
      if (isOpen) {
        if (performance.now() >= probeAt) {
          probeAt = performance.now() + periodMs;
          later(probe().then(close, () => {}));
        }
        return null;
      }
      try {
        return await call();
      } catch (error) {
        probeAt = performance.now() + periodMs;
        // of many that failed at once, the first tells
        if (!isOpen) onChange(error);
        isOpen = true;
        return null;
      }
    },
  };
}
