import { describe } from 'vitest';
import { openMemory } from '../support/memory.ts';
import { storageConformance } from './suite.ts';

describe('memory', () => {
  storageConformance(openMemory);
});
