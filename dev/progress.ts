import type { WriteStream } from 'node:tty';

/** Milliseconds between two drawings. */
const every = 100;
const width = 30;

/** How far a long piece of work has come. */
export interface Progress {
  /** So many more are done. */
  add(count: number): void;
  /** Takes the bar away. */
  end(): void;
}

/**
 * A bar on a terminal, and nothing where there is none.
 *
 * @param total of what is counted
 * @param what its name, in the plural
 */
export function showProgress(
  total: number,
  what: string,
  screen: Pick<WriteStream, 'isTTY' | 'write'> = process.stderr,
): Progress {
  if (!screen.isTTY) return { add() {}, end() {} };
  let done = 0;
  let drawn = -Infinity;
  return {
    add(count) {
      done += count;
      if (performance.now() - drawn < every) return;
      drawn = performance.now();
      const share = total === 0 ? 1 : Math.min(1, done / total);
      const bar = '#'.repeat(Math.round(share * width)).padEnd(width, '-');
      const percent = String(Math.floor(share * 100)).padStart(3);
      screen.write(`\r[${bar}] ${percent} %  ${done} of ${total} ${what}`);
    },
    end() {
      screen.write('\r\u001b[K');
    },
  };
}
