/** Milliseconds of each call, sorted. */
export type Times = readonly number[];

/** Runs a call so many times, one after the other, with a random number below 1 for it to choose by. */
export async function timesOf(
  count: number,
  call: (random: number) => Promise<unknown>,
): Promise<Times> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await call(Math.random());
    times.push(performance.now() - started);
  }
  return times.toSorted((a, b) => a - b);
}

/** The nearest rank. */
export const at = (share: number, times: Times): number =>
  times[Math.max(0, Math.ceil(share * times.length) - 1)] ?? NaN;
