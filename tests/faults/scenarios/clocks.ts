import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, type Heard } from '../client.ts';
import { contended, type Grant, lateWrites, offClock, overlaps, type Write } from '../holders.ts';
import { findFaketime, type Instance } from '../instances.ts';
import { audit } from '../ledger.ts';
import type { Scenario, World } from '../world.ts';

const LEASE = 1_000;
/** Minutes that each instance's clock is ahead. */
const CLOCKS = [-5, -3, 0, 0, 3, 5];
const CALLERS = 2;

/** Everything that was asked and given, in the order of the answers. */
interface Course {
  grants: Grant[];
  renewals: Pick<Grant, 'since' | 'from' | 'to'>[];
  writes: Write[];
  asked: { device: string; from: number; to: number }[];
}

const wall = (at: number): number => performance.timeOrigin + at;

function noteGrant(record: Course, device: string, { json, from, to }: Heard): Grant | null {
  const turn = json['turn'] as { token: string; expires_at: string } | null | undefined;
  if (turn == null) return null;
  const until = Date.parse(turn.expires_at);
  const times = { since: until - LEASE, until, released: null, from: wall(from), to: wall(to) };
  const grant = { device, token: BigInt(turn.token), ...times };
  record.grants.push(grant);
  return grant;
}

/** One worker: asks for turns of a few devices, answers most of them, lets some fall, comes too late with others. */
async function compete(
  world: World,
  url: string,
  devices: [string, ...string[]],
  record: Course,
  enough: () => boolean,
) {
  const turn = (method: string, device: string, body: object) =>
    call(url, method, '/api/turn', { device, body });
  while (!enough()) {
    const device = world.random.pick(devices);
    const asked = await turn('POST', device, { message_id: randomUUID(), content: 'hello' });
    record.asked.push({ device, from: wall(asked.from), to: wall(asked.to) });
    for (let grant = noteGrant(record, device, asked); grant !== null;) {
      if (world.random.chance(0.03)) break; // let fall
      const token = String(grant.token);
      if (world.random.chance(0.1)) {
        const renewed = await turn('PATCH', device, { token });
        if (renewed.status === 200) {
          const [from, to] = [wall(renewed.from), wall(renewed.to)];
          grant.until = Date.parse(String(renewed.json['expires_at']));
          record.writes.push({ device, token: grant.token, from });
          record.renewals.push({ since: grant.until - LEASE, from, to });
        }
      }
      await sleep(world.random.chance(0.03) ? LEASE * 1.2 : world.random.int(8));
      const put = await turn('PUT', device, { token, replies: [{ content: token }] });
      if (put.status !== 200) break;
      grant.released = wall(put.from);
      record.writes.push({ device, token: grant.token, from: wall(put.from) });
      grant = noteGrant(record, device, put);
    }
  }
}

export const clocks: Scenario = {
  name: 'clocks',
  about: 'six instances whose clocks are up to five minutes off contend for the same turns',
  async run(world) {
    const moved = findFaketime() !== null;
    const database = await world.database();
    const env = { TURN_LEASE: String(LEASE / 1_000), MAX_ATTEMPTS: '100' };
    const instances: Instance[] = [];
    for (const clock of CLOCKS) {
      const instance = await world.instance({
        database,
        env,
        clock: moved ? clock : 0,
      });
      if (moved && Math.abs(instance.ahead - clock * 60_000) > 5_000)
        throw new Error(`a clock that should be ${clock} min ahead is ${instance.ahead} ms ahead`);
      instances.push(instance);
    }
    const record: Course = { grants: [], renewals: [], writes: [], asked: [] };
    const devices: [string, ...string[]] = [
      randomUUID(),
      ...Array.from({ length: 5 }, () => randomUUID()),
    ];
    const wanted = world.size(200, 2_000);
    const enough = () => contended(record.grants, record.asked) >= wanted;
    let done = false;
    const watch = (async () => {
      while (!done) {
        world.progress(record.grants.length, wanted);
        done = enough();
        await sleep(200);
      }
    })();
    await Promise.all([
      watch,
      ...instances.flatMap(({ url }) =>
        Array.from({ length: CALLERS }, () => compete(world, url, devices, record, () => done)),
      ),
    ]);
    const { grants, renewals, writes, asked } = record;
    const leases = [...grants, ...renewals];
    const n = contended(grants, asked);
    const skew = moved ? 'clocks −5 to +5 min' : 'clocks not moved';
    return [
      {
        what: `turn holders beside the one, contended grants, ${skew}`,
        n,
        found: overlaps(grants),
        atMost: 0,
      },
      {
        what: `leases off the database's clock, ${skew}`,
        n: leases.length,
        found: offClock(leases),
        atMost: 0,
      },
      {
        what: 'writes accepted behind a newer grant',
        n: writes.length,
        found: lateWrites(grants, writes),
        atMost: 0,
      },
      {
        what: 'answered twice among them',
        n: grants.length,
        found: (await audit(database)).twice,
        atMost: 0,
      },
    ];
  },
};
