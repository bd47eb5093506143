import { describe } from 'vitest';
import { openPostgres } from '../support/storage.ts';
import { acceptPromises } from './accept.ts';
import { channelEventPromises } from './channel-events.ts';
import { cleanUpPromises } from './clean-up.ts';
import { commitPromises } from './commit.ts';
import { deliveryPromises } from './delivery.ts';
import { leasePromises } from './lease.ts';
import { lockPromises } from './lock.ts';
import { peoplePromises } from './people.ts';
import { racePromises } from './races.ts';
import { statePromises } from './state.ts';

describe('postgres over pg', () => {
  lockPromises(openPostgres);
  statePromises(openPostgres);
  acceptPromises(openPostgres);
  commitPromises(openPostgres);
  leasePromises(openPostgres);
  deliveryPromises(openPostgres);
  racePromises(openPostgres);
  cleanUpPromises(openPostgres);
  peoplePromises(openPostgres);
  channelEventPromises(openPostgres);
});
