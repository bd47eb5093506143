import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { SessionScope } from '../../lib/storage/storage.ts';
import { withRedis } from '../support/redis.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import { newSession, redisOfTests } from './redis-ways.ts';
import { contentsOf, recoverFor, toSend } from './ways.ts';

// What is kept of a session, and what is told of sessions.

withRedis('redis', () => {
  const { open } = redisOfTests();

  it('keeps a session’s last messages, and knows a redelivery of one that went', async () => {
    const h = await open(10)();
    const device = newDevice();
    const first = message(device, { externalId: 'first' });
    await commit(h.storage, await take(h.storage, device, first), commitOf('a0'));
    for (let i = 1; i < 8; i++)
      await commit(h.storage, await take(h.storage, device), commitOf(`a${i}`));
    const stored = await h.messages(device);
    expect(stored).toHaveLength(10);
    expect(stored[1]?.content).toBe('a3');
    expect(await h.sessions(device)).toMatchObject([{ messageCount: 16 }]);
    const [again] = await h.storage.accept([first], terms());
    expect(again).toMatchObject({
      turn: null,
      messages: [{ messageId: 'first', duplicate: true, status: 'answered' }],
    });
    const next = await take(h.storage, device);
    expect(contentsOf({ messages: next.history })?.at(-1)).toBe('a7');
  });

  it('keeps a mebibyte of a session at most, the newest of it in any case', async () => {
    const h = await open(100)();
    const device = newDevice();
    const long = 'x'.repeat(300_000);
    for (let i = 0; i < 3; i++)
      await commit(h.storage, await take(h.storage, device, { content: long }), commitOf(`a${i}`));
    expect(await h.messages(device)).toHaveLength(6);
    await commit(h.storage, await take(h.storage, device, { content: long }), commitOf('a3'));
    expect((await h.messages(device)).map(({ content }) => content.slice(0, 2))).toEqual([
      'a0',
      'xx',
      'a1',
      'xx',
      'a2',
      'xx',
      'a3',
    ]);
    await commit(h.storage, await take(h.storage, device), commitOf('y'.repeat(2_000_000)));
    expect((await h.messages(device)).map(({ content }) => content.slice(0, 1))).toEqual(['y']);
  });

  it('never lets go of a reply that is not out', async () => {
    const h = await open(2)();
    const device = newDevice();
    const turn = await take(h.storage, device);
    await commit(h.storage, turn, toSend('a', 'b', 'c', 'd'));
    expect((await h.messages(device)).map(({ content }) => content)).toEqual(['a', 'b', 'c', 'd']);
    await h.shift(device, { turn: 0 });
    await recoverFor(h, device);
    await h.shift(device, { unsettled: 0 });
    expect((await recoverFor(h, device))?.replies.map(({ content }) => content)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('lists and exports what is over as long as it is kept', async () => {
    const h = await open()();
    const user = randomUUID();
    const session = { ...newSession(), user };
    await h.storage.createSession(session, { living: 0, hourly: 0 });
    await h.age(session.device, 3_600_000);
    for (const [includeExpired, total] of [
      [false, 0],
      [true, 1],
    ] as const) {
      const scope: SessionScope = { user, device: null, active: null, includeExpired };
      expect(await h.storage.listSessions(scope, null, 10)).toMatchObject({ total });
      expect(await h.storage.readExport(scope, null, 10)).toHaveLength(total);
    }
  });

  it('says of what it cannot do that it cannot', async () => {
    const { storage } = await open()();
    const everybody = { user: null, device: null, active: null, includeExpired: false };
    for (const call of [
      storage.searchSessions('word', { ...everybody, user: 'u' }, null, 10),
      storage.listSessions(everybody, null, 10),
      storage.readExport(everybody, null, 10),
    ])
      await expect(call).rejects.toMatchObject({ code: 'not_supported' });
  });
});
