import { expect } from 'vitest';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf, toSend } from './ways.ts';

/** Turns taken among devices that are named. */
export const nextCases = {
  'takes what waits and is free, and nothing else': async (h) => {
    const [waits, held, answered, unknown] = [newDevice(), newDevice(), newDevice(), newDevice()];
    const turn = await take(h.storage, waits, { content: 'waits' });
    await h.storage.giveBack(waits, turn.fence, 'builtin');
    await take(h.storage, held);
    await commit(h.storage, await take(h.storage, answered), commitOf('a'));
    const { turns } = await h.storage.next([waits, held, answered, unknown], terms());
    expect(turns.map(({ device }) => device)).toEqual([waits]);
    expect(contentsOf(turns[0])).toEqual(['waits']);
    expect((await h.storage.getState(unknown)).version).toBeNull();
  },

  'is nothing of nothing': async (h) => {
    expect((await h.storage.next([], terms())).turns).toEqual([]);
  },

  'sent twice by one call gives the same turns, by another nothing': async (h) => {
    const devices = Array.from({ length: 6 }, newDevice);
    await h.storage.accept(
      devices.map((device) => message(device)),
      terms({ maxTurns: 0 }),
    );
    const owner = terms({ maxTurns: 2 });
    const fences = async () =>
      (await h.storage.next(devices, owner)).turns.map(({ fence }) => fence);
    const first = await fences();
    expect(first).toHaveLength(2);
    expect((await fences()).toSorted()).toEqual(first.toSorted());
    const { turns } = await h.storage.next(devices, terms({ maxTurns: 100 }));
    expect(turns).toHaveLength(4);
    expect((await h.storage.next(devices, terms({ maxTurns: 100 }))).turns).toEqual([]);
  },

  'goes on past what only looked like work until it has as many as asked for': async (h) => {
    // replies whose sender fell become unknown by a look, and are not due yet
    const looks = Array.from({ length: 5 }, newDevice);
    for (const device of looks) {
      await commit(h.storage, await take(h.storage, device), toSend('a'));
      await h.shift(device, { turn: 0 });
    }
    const waits = 'ffffffff-ffff-4fff-8fff-ffffffffffff' as DeviceId;
    await h.storage.accept([message(waits)], terms({ maxTurns: 0 }));
    const { turns } = await h.storage.next([...looks, waits], terms({ maxTurns: 1 }));
    expect(turns.map(({ device }) => device)).toEqual([waits]);
  },

  'gives a device that is named twice once': async (h) => {
    const device = newDevice();
    await h.storage.accept([message(device)], terms({ maxTurns: 0 }));
    expect((await h.storage.next([device, device], terms())).turns).toHaveLength(1);
  },
} satisfies Cases;
