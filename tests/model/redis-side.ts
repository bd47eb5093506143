import { createHash } from 'node:crypto';
import { openUpstash, type Command, type Send } from '../../lib/storage/redis/upstash.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { redisHarness } from '../support/redis-storage.ts';
import { startUpstashBridge } from '../support/upstash-bridge.ts';
import { lapsed, limits, type Movable } from './sides.ts';

/** Redis on a clock that stands still, and with devices that follow from their identities. */
export async function openMovableRedis(): Promise<Movable> {
  const bridge = await startUpstashBridge();
  const entrance = await bridge.enter();
  let at = 0;
  const send = standing(openUpstash(entrance), () => at);
  const harness = redisHarness(send, limits);
  return {
    ...harness,
    saysShared: false,
    deviceOf,
    async messages(device) {
      const endsAt = await harness.turnEndsAt(device);
      const messages = await harness.messages(device);
      return endsAt !== null && endsAt <= at ? messages.map(lapsed) : messages;
    },
    setClock(to) {
      at = to;
      return Promise.resolve();
    },
    async reset() {
      await bridge.redis.send(['FLUSHALL']);
    },
    close: () => bridge.close(),
  };
}

/** Puts the time into the input of each script, and makes the script read it there. */
function standing(send: Send, now: () => number): Send {
  const renamed = new Map<string, string>();
  const rewrite = ([name, script, keys, text]: Command): Command => {
    const told = JSON.stringify({
      ...(JSON.parse(String(text)) as object),
      clock: now(),
      secret: '',
    });
    if (name === 'EVALSHA')
      return [name, renamed.get(String(script)) ?? 'unknown', Number(keys), told];
    const rewritten = String(script).replace("call('TIME')", '{ 0, input.clock * 1000 }');
    renamed.set(sha1(String(script)), sha1(rewritten));
    return [name, rewritten, Number(keys), told];
  };
  return (commands, repeatable) => send(commands.map(rewrite), repeatable);
}

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

function deviceOf(identity: string): DeviceId {
  const hex = sha1(identity);
  const variant = '89ab'.charAt(parseInt(hex.charAt(16), 16) % 4);
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return groups.join('-') as DeviceId;
}
