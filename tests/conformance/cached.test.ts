import { afterAll, beforeAll, expect, it } from 'vitest';
import { openCached } from '../support/cached.ts';
import { withRedis } from '../support/redis.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';
import type { Open } from '../support/storage.ts';
import { storageConformance } from './suite.ts';

withRedis('postgres behind the cache', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
  });
  afterAll(() => bridge.close());

  const open: Open = (some) => openCached(bridge, entrance)(some);
  storageConformance(open);

  it('and the cache was asked', () => {
    expect(entrance.count()).toBeGreaterThan(500);
  });
});
