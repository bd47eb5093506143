import type { Command } from './commands.ts';

/** Where a script fails: the place of its last command that was played; null: nowhere. */
export type FailsAt = (script: readonly Command[]) => Promise<number | null>;

/**
 * A script that still fails, and from which no command, nor a part of one, can be left out.
 *
 * @param seconds after which it is as short as it is by then
 */
export async function shrink(
  script: readonly Command[],
  failsAt: FailsAt,
  seconds: number,
): Promise<Command[]> {
  const until = performance.now() + seconds * 1_000;
  let shortest = [...script];
  const keepIfFailing = async (shorter: Command[]): Promise<boolean> => {
    if (performance.now() > until) return false;
    const at = await failsAt(shorter);
    if (at !== null) shortest = shorter.slice(0, at + 1);
    return at !== null;
  };
  await keepIfFailing(shortest);
  for (let last = Infinity; shortest.length < last;) {
    last = shortest.length;
    for (let size = Math.ceil(last / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < shortest.length;)
        if (!(await keepIfFailing(shortest.toSpliced(from, size)))) from += size;
    }
  }
  for (let i = 0; i < shortest.length; i++) {
    for (let again = true; again;) {
      again = false;
      for (const simpler of simplerThan(shortest[i])) {
        again = await keepIfFailing(shortest.with(i, simpler));
        if (again) break;
      }
    }
  }
  return shortest;
}

/** The same command with one element of one of its lists left out, or without what it can do without. */
function simplerThan(command: Command | undefined): Command[] {
  if (command === undefined) return [];
  const simpler: Command[] = [];
  for (const [field, value] of Object.entries(command)) {
    if (!Array.isArray(value)) continue;
    for (let i = 0; i < value.length; i++)
      simpler.push({ ...command, [field]: value.toSpliced(i, 1) });
  }
  if (command.do === 'commit') {
    for (const field of ['state', 'statePatch', 'complete'] as const) {
      const { [field]: left, ...content } = command.content;
      if (left !== undefined) simpler.push({ ...command, content });
    }
  }
  return simpler;
}
