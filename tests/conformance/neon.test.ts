import { neonConfig } from '@neondatabase/serverless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { openNeonHttp } from '../support/storage.ts';
import { storageConformance } from './suite.ts';

describe('postgres over Neon HTTP', () => {
  let bridge: NeonBridge;
  beforeAll(async () => {
    bridge = await startNeonBridge();
    neonConfig.fetchEndpoint = bridge.endpoint;
  });
  afterAll(() => bridge.close());

  storageConformance(openNeonHttp);

  it('and nothing of it has gone another way', () => {
    expect(bridge.count()).toBeGreaterThan(500);
  });
});
