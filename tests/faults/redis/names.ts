import type { Fence, Storage } from '../../../lib/storage/storage.ts';
import { createRedisStorage } from '../../../lib/storage/redis/redis-storage.ts';
import { commitOf, limits, newDevice, terms } from '../../support/storage.ts';

const device = newDevice();
const fence = '1' as Fence;

/** Under the names that the same statements have in PostgreSQL. */
const operations: Readonly<Record<string, (storage: Storage) => Promise<unknown>>> = {
  baton_accept: (storage) => storage.accept([], terms()),
  baton_recover: (storage) => storage.recover(terms()),
  baton_commit: (storage) => storage.commit(device, fence, 'builtin', commitOf(), 1),
  baton_settle: (storage) => storage.settle(device, fence, [], 1),
  baton_extend: (storage) => storage.extend(device, fence, 'builtin', 1),
  baton_fail: (storage) => storage.fail(device, fence, 'Error'),
  baton_give_back: (storage) => storage.giveBack(device, fence, 'builtin'),
};

/** What each script is called by whoever wants to stop it: its SHA1 leads to its name. */
export async function namesOfScripts(): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const settings = { prefix: '', kept: 1, limits };
  for (const [name, operate] of Object.entries(operations)) {
    // it goes no further than this: by what it would be called is all that is wanted
    const storage = createRedisStorage(([command]) => {
      names.set(String(command?.[1]), name);
      return Promise.reject(new Error('nobody is there'));
    }, settings);
    await operate(storage).catch(() => {});
  }
  return names;
}
