import { Redis } from '@upstash/redis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { withRedis } from '../support/redis.ts';
import {
  startUpstashBridge,
  type UpstashBridge,
  type UpstashEntrance,
} from '../support/upstash-bridge.ts';

// What the bridge answers is read by Upstash's own client: it would not take anything else.

withRedis('the bridge to a real Redis', () => {
  let bridge: UpstashBridge;
  let entrance: UpstashEntrance;
  let redis: Redis;
  const clientOf = ({ url, token }: { url: string; token: string }) =>
    new Redis({
      url,
      token,
      retry: false,
      automaticDeserialization: false,
      enableTelemetry: false,
    });
  beforeAll(async () => {
    bridge = await startUpstashBridge();
    entrance = await bridge.enter();
    redis = clientOf(entrance);
  });
  afterAll(() => bridge.close());
  beforeEach(async () => {
    await redis.flushall();
    entrance.reset();
  });

  it('carries every kind of value, in any script', async () => {
    const text = 'Grüße, 你好, 🙂 "quoted"\r\n';
    expect(await redis.set('text', text)).toBe('OK');
    expect(await redis.get('text')).toBe(text);
    expect(await redis.set('ok', 'OK')).toBe('OK');
    expect(await redis.get('ok')).toBe('OK');
    expect(await redis.get('nothing')).toBeNull();
    expect(await redis.incrby('number', 41)).toBe(41);
    expect(await redis.get('number')).toBe('41');
    await redis.rpush('list', 'a', 'b');
    expect(await redis.lrange('list', 0, -1)).toEqual(['a', 'b']);
    expect(await redis.eval('return {1, ARGV[1], {KEYS[1], false}}', ['k'], [text])).toEqual([
      1,
      text,
      ['k', null],
    ]);
    expect(await redis.ping()).toBe('PONG');
  });

  it('runs a pipeline in one request, each command with a result or an error of its own', async () => {
    const pipeline = redis.pipeline();
    pipeline.set('a', 'x');
    pipeline.incr('a');
    pipeline.get('a');
    expect(await pipeline.exec({ keepErrors: true })).toEqual([
      { result: 'OK', error: undefined },
      { result: undefined, error: expect.stringContaining('not an integer') },
      { result: 'x', error: undefined },
    ]);
    expect([entrance.count(), entrance.commands()]).toEqual([1, 3]);
  });

  it('runs a transaction, with nobody else in between', async () => {
    const increments = Array.from({ length: 20 }, async () => {
      const transaction = redis.multi();
      transaction.incr('n');
      transaction.incr('n');
      const [first, second] = await transaction.exec<[number, number]>();
      return second - first;
    });
    expect(await Promise.all(increments)).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('knows scripts by their hash, and says so where it does not', async () => {
    const script = redis.createScript<string>('return ARGV[1]');
    expect([await script.exec([], ['one']), entrance.commands()]).toEqual(['one', 2]); // NOSCRIPT, then EVAL
    expect([await script.exec([], ['two']), entrance.commands()]).toEqual(['two', 3]);
  });

  it('runs scripts with a flag that only Upstash knows', async () => {
    const script = redis.createScript<number>('#!lua flags=allow-key-locking\nreturn 7');
    expect([await script.exec([], []), await script.exec([], [])]).toEqual([7, 7]);
    expect(entrance.commands()).toBe(3);
  });

  it('refuses a wrong token, and what is no command', async () => {
    const stranger = clientOf({ url: entrance.url, token: 'another' });
    await expect(stranger.get('a')).rejects.toThrow('WRONGPASS');
    await expect(redis.eval('no lua', [], [])).rejects.toThrow('ERR');
  });

  it('can be slow, hang, be cut, die, and come back empty', async () => {
    await redis.set('a', 'x');
    entrance.delay(() => 20);
    const started = performance.now();
    await redis.get('a');
    expect(performance.now() - started).toBeGreaterThan(39);
    entrance.delay(() => 0);

    entrance.hang();
    const late = redis.get('a');
    const first = await Promise.race([late, new Promise((done) => setTimeout(done, 50, 'hangs'))]);
    expect(first).toBe('hangs');
    entrance.resume();
    expect(await late).toBe('x');

    entrance.cut();
    await expect(redis.get('a')).rejects.toThrow('fetch failed');
    entrance.resume();
    await bridge.redis.kill();
    await expect(redis.get('a')).rejects.toThrow('fetch failed');
    await bridge.redis.restart();
    expect(await redis.get('a')).toBeNull();
  });
});
