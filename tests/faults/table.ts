import type { Figure } from './world.ts';

/** Said where clocks should be moved and cannot. */
export const NOT_MOVED =
  'libfaketime is not installed: the clocks of the instances are not moved (Debian: apt-get install libfaketime)';

export const columns = (cells: readonly string[]): string =>
  [
    (cells[0] ?? '').padEnd(6),
    (cells[1] ?? '').padEnd(62),
    (cells[2] ?? '').padStart(7),
    (cells[3] ?? '').padStart(9),
    (cells[4] ?? '').padStart(11),
    (cells[5] ?? '').padStart(8),
    (cells[6] ?? '').padStart(11),
  ].join(' ');

export const heading = columns([
  '',
  'what was looked for',
  'of',
  'found',
  'must be',
  'time',
  'seed',
]);

/** Whether it holds; of nothing at all, nothing is proven. */
export const isKept = ({ n, found, atMost }: Figure): boolean => n > 0 && found <= atMost;

/** @param seconds that its scenario took */
export function row(figure: Figure, seconds: number, seed: number): string {
  const unit = figure.unit === undefined ? '' : ' ms';
  const found = `${Math.round(figure.found)}${unit}`;
  const limit = figure.atMost === 0 ? '0' : `≤ ${figure.atMost}${unit}`;
  const kept = isKept(figure) ? 'ok' : 'BROKEN';
  return columns([
    kept,
    figure.what,
    String(figure.n),
    found,
    limit,
    `${seconds.toFixed(1)} s`,
    String(seed),
  ]);
}
