import { describe } from 'vitest';
import { openPostgres } from '../support/storage.ts';
import { deliveryPromises } from './delivery.ts';
import { lockPromises } from './lock.ts';
import { racePromises } from './races.ts';
import { statePromises } from './state.ts';
import { turnPromises } from './turn.ts';

describe('postgres over pg', () => {
  lockPromises(openPostgres);
  statePromises(openPostgres);
  turnPromises(openPostgres);
  deliveryPromises(openPostgres);
  racePromises(openPostgres);
});
