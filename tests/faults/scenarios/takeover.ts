import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { knock, say } from '../client.ts';
import { comesTrue, unanswered } from '../ledger.ts';
import type { Scenario } from '../world.ts';

export const takeover: Scenario = {
  name: 'takeover',
  about:
    'how soon another instance does the work of a killed one, counted from the first call after the lease',
  async run(world) {
    const database = await world.database();
    // a lease that does not end by itself while it is measured
    const victim = await world.instance({ database, obeys: ['wait'], env: { TURN_LEASE: '600' } });
    const survivor = await world.instance({ database });
    const devices = Array.from({ length: world.size(10, 200) }, () => randomUUID());
    const calls = devices.map((device) => say(victim.url, device, device, 'wait'));
    await victim.untilWaiting(devices.length);
    await victim.kill();
    await Promise.all(calls);
    const times: number[] = [];
    for (const device of devices) {
      // calls of any moment since the survivor's last look, which it takes twice a second at most
      await sleep(world.random.int(600));
      await database.lapse([device]);
      const since = performance.now();
      await knock(survivor.url);
      await comesTrue(async () => (await unanswered(database, [device])) === 0, 2);
      times.push(performance.now() - since);
      world.progress(times.length, devices.length);
    }
    return [
      {
        what: 'from the first call after the lease to the answer of another',
        n: times.length,
        found: Math.max(...times),
        atMost: 1_000,
        unit: 'ms',
      },
      {
        what: 'messages of the killed instance that stay unanswered',
        n: devices.length,
        found: await unanswered(database, devices),
        atMost: 0,
      },
    ];
  },
};
