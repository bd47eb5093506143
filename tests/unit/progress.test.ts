import { expect, it } from 'vitest';
import { showProgress } from '../../dev/progress.ts';

function screenOf(isTTY: boolean) {
  const written: string[] = [];
  const write = (text: string | Uint8Array) => written.push(String(text)) > 0;
  return { written, screen: { isTTY, write } };
}

it('draws a bar on a terminal, not for every step, and takes it away', () => {
  const { written, screen } = screenOf(true);
  const progress = showProgress(200, 'rows', screen);
  for (let i = 0; i < 100; i++) progress.add(1);
  progress.end();
  expect(written[0]).toBe(`\r[${'-'.repeat(30)}]   0 %  1 of 200 rows`);
  expect(written.length).toBeLessThan(50);
  expect(written.at(-1)).toBe('\r\u001b[K');
});

it('draws nothing where there is no terminal', () => {
  const { written, screen } = screenOf(false);
  const progress = showProgress(2, 'rows', screen);
  progress.add(2);
  progress.end();
  expect(written).toEqual([]);
});
