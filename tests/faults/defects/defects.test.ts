import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scenarios } from '../scenarios.ts';
import { storageNames } from '../storage.ts';
import { readDefects, scenarioOf, spoilt } from './patch.ts';

const root = resolve(import.meta.dirname, '../../..');
const defects = readDefects();

it('there are at least fifteen', () => {
  expect(defects.length).toBeGreaterThanOrEqual(15);
});

describe.each(defects)('$name', (defect) => {
  it('finds its place in the code as it is', async () => {
    const files = await spoilt(root, defect);
    expect([...files.keys()]).toEqual([...new Set(defect.edits.map(({ file }) => file))]);
  });

  it('names a test that there is', () => {
    const [test = ''] = defect.caughtBy.split(' > ');
    const played = scenarioOf(test);
    if (played === null) return expect(existsSync(join(root, test)), test).toBe(true);
    expect(scenarios.map(({ name }) => name)).toContain(played.name);
    expect(Object.keys(storageNames)).toContain(played.storage);
  });
});

it('a text that is nowhere, or there twice, is refused', async () => {
  const [first] = defects;
  const edit = { file: 'package.json', find: 'a text that is nowhere', put: '' };
  const spoil = (find: string) =>
    spoilt(root, { ...(first as (typeof defects)[number]), edits: [{ ...edit, find }] });
  await expect(spoil('a text that is nowhere')).rejects.toThrow('0 times, not once');
  await expect(spoil('"node"')).rejects.toThrow(/\d times, not once/);
});
