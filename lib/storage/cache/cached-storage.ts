import type { Commit, DeviceId, Storage } from '../storage.ts';
import { readThrough, writeThrough } from './access.ts';
import type { Cache } from './cache.ts';
import { lockEntry, stateEntry } from './entries.ts';

/** What changes neither a lock nor a state. A method of the interface stands here, or below as one that does. */
const untouched = [
  'next',
  'recover',
  'settle',
  'extend',
  'giveBack',
  'fail',
  'noteStatuses',
  'readAnswer',
  'listFailed',
  'retryFailed',
  // the locks it takes away are past their end, and so absent already
  'cleanUp',
  'ping',
  'createSession',
  'readSession',
  'patchSession',
  'deleteSession',
  'listSessions',
  'searchSessions',
  'readHistory',
  'readExport',
  'registerDevice',
  'readDevice',
  'addCounts',
  'readMetrics',
  'readStats',
] as const satisfies (keyof Storage)[];

const lockOf = (device: DeviceId) => `lock:${device}`;
const stateOf = (device: DeviceId) => `state:${device}`;

interface Parts {
  inner: Storage;
  cache: Cache;
  ttlMs: number;
}

/**
 * A storage with the cache in front: locks and states are read there, and what changes them keeps it true. Turns,
 * duplicates and guards are decided by the storage alone. Histories are not kept: most is said to devices that only the
 * database can name, so that nearly every message would have to mark all entries.
 *
 * @param ttlMs milliseconds for which an entry is given to readers: what a cut wire can do lasts so long
 * @returns `storage`, and `fresh`, which reads past the cache and writes as the other does
 */
export function cacheStorage(
  inner: Storage,
  cache: Cache,
  ttlMs: number,
): { storage: Storage; fresh: Storage } {
  const parts = { inner, cache, ttlMs };
  const storage: Storage = {
    ...pick(inner, untouched),
    ...lockOperations(parts),
    ...stateOperations(parts),
    ...turnOperations(parts),
    ...deviceOperations(parts),
  };
  return { storage, fresh: { ...storage, ...pick(inner, ['getLock', 'getState']) } };
}

function pick<Name extends keyof Storage>(
  inner: Storage,
  names: readonly Name[],
): Pick<Storage, Name> {
  const methods = names.map((name) => [name, inner[name].bind(inner)]);
  return Object.fromEntries(methods) as Pick<Storage, Name>;
}

function lockOperations({
  inner,
  cache,
  ttlMs,
}: Parts): Pick<Storage, 'getLock' | 'setLock' | 'clearLock'> {
  const entry = lockEntry(ttlMs);
  return {
    getLock: (device) => readThrough(cache, lockOf(device), entry, () => inner.getLock(device)),
    setLock: (device, lock, guard) =>
      writeThrough(cache, [lockOf(device)], () => inner.setLock(device, lock, guard)),
    clearLock: (device, guard) =>
      writeThrough(cache, [lockOf(device)], () => inner.clearLock(device, guard)),
  };
}

function stateOperations({
  inner,
  cache,
  ttlMs,
}: Parts): Pick<Storage, 'getState' | 'putState' | 'patchState' | 'clearState'> {
  const entry = stateEntry(ttlMs);
  const write = <T>(device: DeviceId, run: () => Promise<T>) =>
    writeThrough(cache, [stateOf(device)], run);
  return {
    getState: (device) => readThrough(cache, stateOf(device), entry, () => inner.getState(device)),
    putState: (device, state, guard) => write(device, () => inner.putState(device, state, guard)),
    patchState: (device, patch, guard) =>
      write(device, () => inner.patchState(device, patch, guard)),
    clearState: (device, guard) => write(device, () => inner.clearState(device, guard)),
  };
}

/** What of a turn moves a lock or changes a state. */
function turnOperations({ inner, cache }: Parts): Pick<Storage, 'accept' | 'commit'> {
  return {
    accept(messages, terms) {
      const run = () => inner.accept(messages, terms);
      if (messages.every(({ byHuman }) => byHuman === undefined)) return run();
      // whose conversation a person takes, only the database knows
      return writeThrough(cache, null, run, (accepted) =>
        accepted.map(({ device }) => lockOf(device)),
      );
    },
    commit(device, fence, lane, commit, leaseMs) {
      const run = () => inner.commit(device, fence, lane, commit, leaseMs);
      const keys = touchedBy(commit, device);
      return keys.length === 0 ? run() : writeThrough(cache, keys, run);
    },
  };
}

function touchedBy(commit: Commit, device: DeviceId): string[] {
  const writesState = commit.state !== undefined || commit.statePatch !== undefined;
  return [
    ...(commit.lock.do === 'keep' ? [] : [lockOf(device)]),
    ...(writesState ? [stateOf(device)] : []),
  ];
}

/**
 * What changes whose lock and state a device has. A conversation that is shared, or has a code out, is not kept at all;
 * so what must be emptied is what the device had when it was alone.
 */
function deviceOperations({
  inner,
  cache,
}: Parts): Pick<Storage, 'eraseDevice' | 'eraseUser' | 'offerLink' | 'redeemLink' | 'unlink'> {
  const write = <T>(device: DeviceId, run: () => Promise<T>) =>
    writeThrough(cache, [lockOf(device), stateOf(device)], run);
  return {
    eraseDevice: (device) => write(device, () => inner.eraseDevice(device)),
    // whose devices, only the database knows, and it does not tell
    eraseUser: (user, limit) =>
      writeThrough(
        cache,
        null,
        () => inner.eraseUser(user, limit),
        () => null,
      ),
    offerLink: (device, codes, seconds) =>
      write(device, () => inner.offerLink(device, codes, seconds)),
    redeemLink: (device, code, limits) =>
      write(device, () => inner.redeemLink(device, code, limits)),
    unlink: (device) => write(device, () => inner.unlink(device)),
  };
}
