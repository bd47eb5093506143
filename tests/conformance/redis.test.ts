import { afterAll, beforeAll, expect, it } from 'vitest';
import { withRedis } from '../support/redis.ts';
import { openRedisAt } from '../support/redis-storage.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';
import { storageConformance } from './suite.ts';

const search = 'there is no search: callers get 501';
const figures = 'there are no figures: callers get 501';

withRedis('redis', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
  });
  afterAll(() => bridge.close());

  storageConformance(
    openRedisAt(() => entrance),
    {
      'chat lists: lists everybody’s': 'sessions are found by user and by device: callers get 501',
      // lists and exports of expired sessions are asked for in redis-sessions.test.ts
      'chat lists: leaves expired sessions out of lists, searches and exports, unless they are asked for':
        search,
      'chat search: finds words in any order and case, of questions and of answers, and nothing of other users':
        search,
      'chat search: finds phrases as they are, and leaves out what has a minus': search,
      'chat search: finds words whatever accents either side has, composed or not': search,
      'chat search: finds what stands between slashes and in markup': search,
      'chat search: shows where the words are': search,
      'figures: of nothing are nothing': figures,
      'figures: locks: live ones by agent and by age, ended ones by how long they were held, and who came after':
        figures,
      'figures: chat sessions: by state, and by the bytes of what stands in their histories':
        figures,
      'figures: messages by day, the time to the answer, and what failed': figures,
      'figures: what was purged is in none of them': figures,
      'figures: counts add up, also fifty at once': figures,
      'chat search: shows a piece of a long text with the words in it': search,
      'chat search: ranks: sessions that say more of it first, and in each the five messages that fit best':
        search,
      'chat search: searches in pages: each session once, in the order of one long page': search,
      'chat search: searches a device’s messages, and everybody’s': search,
      'chat search: finds nothing by words that are none, and refuses to look for everything but a word':
        search,
      'chat search: finds what waits for its answer, and nothing that was deleted': search,
    },
  );

  it('and nothing of it has gone another way', () => {
    expect(entrance.count()).toBeGreaterThan(500);
  });
});
