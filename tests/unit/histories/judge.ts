import { expect } from 'vitest';
import { check } from '../../histories/checks/check.ts';
import type { Evidence } from '../../histories/history.ts';
import { evidence } from './scene.ts';

type Scene = Parameters<typeof evidence>;

export const told = (scene: Evidence): string[] =>
  check(scene).violations.map(({ rule, what }) => `${rule}: ${what}`);

export const sound = (...scene: Scene): void => expect(told(evidence(...scene))).toEqual([]);

export const finds = (what: string, ...scene: Scene): void =>
  expect(told(evidence(...scene))).toContain(what);
