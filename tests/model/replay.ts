import { inspect, isDeepStrictEqual } from 'node:util';
import type { Tables } from '../../lib/storage/memory/tables.ts';
import type { DeviceId, Storage } from '../../lib/storage/storage.ts';
import { time } from '../support/storage.ts';
import { type Command, WEB_DEVICES } from './commands.ts';
import { Player } from './player.ts';
import { limits, type Movable, openModel } from './sides.ts';

const web = Array.from(
  { length: WEB_DEVICES },
  (_, i) => `${i}8b7f2c4-0d5e-4a1b-8c3d-2e4f6a8b0c1d` as DeviceId,
);

/** The two do not do the same, or one of them breaks. */
export class Difference extends Error {
  override readonly name = 'Difference';
  /** Place in the script of the command that showed it. */
  readonly at: number;

  constructor(at: number, command: Command | undefined, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`command ${at + 1}, ${command?.do ?? 'the end'}: ${what}`, { cause });
    this.at = at;
  }
}

/**
 * Plays a script on PostgreSQL and on the model side by side.
 *
 * @param plant puts a fault into the model, to see that it is found
 * @returns how many of its commands did something
 * @throws {Difference} at the first command after which the two differ
 */
export async function replay(
  postgres: Movable,
  script: readonly Command[],
  plant: (storage: Storage, tables: Tables) => Partial<Storage> = () => ({}),
): Promise<number> {
  const start = Date.now();
  await postgres.reset();
  const model = openModel(postgres.deviceOf, start);
  if (!postgres.saysShared) Object.assign(model.storage, withoutShared({ ...model.storage }));
  Object.assign(model.storage, plant({ ...model.storage }, model.tables));
  const players = [new Player(postgres, web, start), new Player(model, web, start)] as const;
  for (const player of players) await player.setClock(start);
  let played = 0;
  let at = 0;
  try {
    for (const command of script) {
      if (await step(players, model.tables, command)) played++;
      at++;
    }
    for (const device of players[0].devices) await compareDevice(players, device);
  } catch (error) {
    throw new Difference(Math.min(at, script.length - 1), script[at], error);
  }
  return played;
}

const withoutShared = (storage: Storage): Pick<Storage, 'getLock' | 'getState'> => ({
  async getLock(device) {
    const { now, lock } = await storage.getLock(device);
    return { now, lock };
  },
  async getState(device) {
    const { now, state, version, updatedAt } = await storage.getState(device);
    return { now, state, version, updatedAt };
  },
});

/** @returns whether the command did anything */
async function step(
  players: readonly [Player, Player],
  tables: Tables,
  command: Command,
): Promise<boolean> {
  const [{ now }] = players;
  if (command.do === 'wait' || command.do === 'wait until') {
    const to = command.do === 'wait' ? now + command.ms : deadline(tables, command, now);
    if (to === null || to <= now) return false;
    for (const player of players) await player.setClock(to);
    return true;
  }
  const real = await players[0].play(command);
  const ideal = await players[1].play(command);
  compare('the answer', real?.answer, ideal?.answer);
  for (const device of real?.touched ?? []) await compareDevice(players, device);
  return real !== null;
}

async function compareDevice(
  [real, ideal]: readonly [Player, Player],
  device: DeviceId,
): Promise<void> {
  compare(`device ${device}`, await real.observe(device), await ideal.observe(device));
}

function compare(what: string, real: unknown, ideal: unknown): void {
  if (isDeepStrictEqual(real, ideal)) return;
  throw new Error(`${what} differs ${difference(real, ideal) ?? 'in a hidden way'}`);
}

/** Where two values part, and what stands there. */
function difference(real: unknown, ideal: unknown, path = ''): string | null {
  if (isDeepStrictEqual(real, ideal)) return null;
  if (isObject(real) && isObject(ideal)) {
    const keys = new Set([...Object.keys(real), ...Object.keys(ideal)]);
    for (const key of keys) {
      const found = difference(Reflect.get(real, key), Reflect.get(ideal, key), `${path}.${key}`);
      if (found !== null) return found;
    }
  }
  return `at ${path}: the storage ${inspect(real)}, the model ${inspect(ideal)}`;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** The nth time from now at which something ends or may be done again, or just before or after. */
function deadline(
  { devices, sessions }: Tables,
  { nth, off }: Extract<Command, { do: 'wait until' }>,
  now: number,
): number | null {
  const times = [...devices.values()].flatMap(({ holding, grant, session, messages }) => [
    holding?.expiresAt,
    grant?.endsAt,
    session?.endsAt,
    ...messages.flatMap(({ claimEndsAt, createdAt, sentAt }) => [
      claimEndsAt,
      createdAt + 8 * time.day,
      sentAt + time.day,
    ]),
  ]);
  const ends = [...sessions.values()].map(
    ({ lastActivity }) => lastActivity + limits.retentionDays * time.day,
  );
  const later = [...times, ...ends].filter((at) => at != null && at + off > now);
  const found = [...new Set(later)].toSorted((a, b) => Number(a) - Number(b));
  const at = found[nth % Math.max(1, found.length)];
  return at == null ? null : at + off;
}
