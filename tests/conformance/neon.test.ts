import { neonConfig } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { openNeonHttp } from '../support/storage.ts';
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

describe('postgres over Neon HTTP', () => {
  let bridge: NeonBridge;
  beforeAll(async () => {
    bridge = await startNeonBridge();
    neonConfig.fetchEndpoint = bridge.endpoint;
  });
  afterAll(() => bridge.close());

  lockPromises(openNeonHttp);
  statePromises(openNeonHttp);
  acceptPromises(openNeonHttp);
  commitPromises(openNeonHttp);
  leasePromises(openNeonHttp);
  deliveryPromises(openNeonHttp);
  racePromises(openNeonHttp);
  cleanUpPromises(openNeonHttp);
  peoplePromises(openNeonHttp);
  channelEventPromises(openNeonHttp);

  it('and nothing of it has gone another way', () => {
    expect(bridge.count()).toBeGreaterThan(500);
  });
});
