import type { Losing, Stopped, Trap, Wire } from './storage.ts';

/** Counts down to the answers to be lost. */
export function losses(): Losing & { isLost(statement: string): boolean } {
  let plan = { skip: 0, times: 0 };
  let lost = 0;
  return {
    lost: () => lost,
    lose: (skip, times) => void (plan = { skip, times }),
    isLost(statement) {
      if (plan.times === 0 || statement.includes('baton_recover')) return false;
      if (plan.skip > 0) plan.skip--;
      else {
        plan.times--;
        lost++;
        return true;
      }
      return false;
    },
  };
}

/** What is in wait for the statements of one line, and what has passed it. */
export function createTraps(): Pick<Wire, 'stop' | 'answered' | 'lose' | 'lost'> & {
  /** The one that this statement falls into. */
  trapFor(name: string): Trap | null;
  noteAnswer(name: string): void;
} {
  const traps: Trap[] = [];
  const answered = new Map<string, number>();
  const { isLost, ...losing } = losses();
  const cut = (stopped: Stopped) => stopped.cut();
  return {
    ...losing,
    stop: (name, at) => new Promise((sprung) => traps.push({ name, at, sprung })),
    answered: (name) => answered.get(name) ?? 0,
    trapFor(name) {
      const found = traps.findIndex((trap) => trap.name === name);
      if (found !== -1) return traps.splice(found, 1)[0] ?? null;
      return isLost(name) ? { name, at: 'done', sprung: cut } : null;
    },
    noteAnswer: (name) => void answered.set(name, (answered.get(name) ?? 0) + 1),
  };
}
