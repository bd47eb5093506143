import type { DeviceId } from '../../lib/storage/storage.ts';
import type { Command } from './commands.ts';
import type { Given } from './given.ts';
import type { Side } from './sides.ts';
import { documentOf, guardOf } from './values.ts';

// What is kept of a device, links between devices, and the end of a user.

/** A lock, a state or an answer. */
export function write(
  { storage }: Side,
  given: Given,
  device: DeviceId,
  command: Extract<Command, { do: `${string} lock` | `${string} state` | 'read answer' }>,
): Promise<unknown> {
  switch (command.do) {
    case 'set lock': {
      const lock = { agent: command.agent, ttlSeconds: command.ttl };
      return storage.setLock(device, lock, guardOf(command.guard, given.locks.get(device)));
    }
    case 'clear lock':
      return storage.clearLock(device, guardOf(command.guard, given.locks.get(device)));
    case 'put state': {
      const guard = guardOf(command.guard, given.states.get(device));
      return storage.putState(device, documentOf(command.document), guard);
    }
    case 'patch state': {
      const guard = guardOf(command.guard, given.states.get(device));
      return storage.patchState(device, documentOf(command.document), guard);
    }
    case 'clear state':
      return storage.clearState(device, guardOf(command.guard, given.states.get(device)));
    case 'read answer':
      return storage.readAnswer(device, 'web', `m${command.id}`);
  }
}

export async function link(
  { storage }: Side,
  device: DeviceId,
  to: DeviceId,
  code: 'right' | 'wrong',
): Promise<unknown> {
  const offered = await storage.offerLink(to, ['111111', '222222'], 600);
  const tried = code === 'wrong' ? '999999' : (offered.link?.code ?? '999999');
  const limits = { own: 2, all: 5, seconds: 600 };
  return { offered, redeemed: await storage.redeemLink(device, tried, limits) };
}

/** Until nothing is left: which of a user's devices goes first is the storage's own affair. */
export async function eraseUser({ storage }: Side, user: string, limit: number): Promise<object> {
  const sums: Record<string, number> = {};
  for (let more = true; more;) {
    const run = await storage.eraseUser(user, limit);
    for (const [name, count] of Object.entries(run.receipt)) sums[name] = (sums[name] ?? 0) + count;
    more = run.more;
  }
  return sums;
}
