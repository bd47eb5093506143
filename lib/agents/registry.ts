import { HUMAN } from '../storage/storage.ts';
import type { Agent } from './agent.ts';
import { billing } from './builtin/billing.ts';
import { createManager } from './builtin/manager.ts';
import { scheduling } from './builtin/scheduling.ts';

/** The agents of this deployment. A new one is a file and a row here; the manager asks them in this order. */
export const agents: readonly Agent[] = [scheduling, billing];

/** Who answers when nobody holds the lock, and where everybody else hands back to. */
export const MANAGER = 'manager';

export interface Registry {
  manager: Agent;
  /** null for a name that is not code here: removed, misspelt, or an agent that lives elsewhere. */
  find(key: string): Agent | null;
  /** Seconds the holder of this name keeps the lock if nothing else is said. */
  ttlOf(key: string, fallback: number): number;
}

/** @throws {Error} at start, when two agents share a key or one takes a reserved name */
export function createRegistry(
  list: readonly Agent[],
  manager: Agent = createManager(list),
): Registry {
  const byKey = new Map<string, Agent>([[MANAGER, manager]]);
  for (const agent of list) {
    if (byKey.has(agent.key) || agent.key === HUMAN)
      throw new Error(`two agents are called "${agent.key}"`);
    byKey.set(agent.key, agent);
  }
  return {
    manager,
    find: (key) => byKey.get(key) ?? null,
    ttlOf: (key, fallback) => byKey.get(key)?.ttlSeconds ?? fallback,
  };
}
