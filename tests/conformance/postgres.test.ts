import { describe } from 'vitest';
import { openPostgres } from '../support/storage.ts';
import { storageConformance } from './suite.ts';

describe('postgres over pg', () => {
  storageConformance(openPostgres);
});
