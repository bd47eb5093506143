import { inspect } from 'node:util';
import fc from 'fast-check';
import { command } from './any-command.ts';
import type { Command } from './commands.ts';
import { Difference, replay } from './replay.ts';
import { shrink } from './shrink.ts';
import type { Movable } from './sides.ts';

/** Commands played in all; a run before a release takes 200,000. */
export const COMMANDS = Number(process.env['MODEL_COMMANDS'] ?? 10_000);
/** The same seed plays the same scripts: what changed is then the code. To look for more, give another. */
export const SEED = Number(process.env['MODEL_SEED'] ?? 20_261_121);
/** Commands of one script at most. */
const LENGTH = 100;
/** Seconds that go into making a script that shows a difference short. */
export const SHORTENING = 120;
/** Scripts between two looks at how many commands that was. */
const ROUND = 10;

/**
 * @param knows leaves commands out that the storage does not know
 * @returns how many commands did something
 * @throws what differs, and a short script that shows it
 */
export async function playRound(
  real: Movable,
  seed: number,
  knows: (command: Command) => boolean = () => true,
): Promise<number> {
  const scripts = fc.array(command, { maxLength: LENGTH, size: 'max' });
  let played = 0;
  for (const drawn of fc.sample(scripts, { seed, numRuns: ROUND })) {
    const script = drawn.filter(knows);
    try {
      played += await replay(real, script);
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      const { script: short, difference } = await shorten(real, script, error);
      difference.message = `MODEL_SEED=${seed}, ${difference.message}

${asTest(short)}`;
      throw difference;
    }
  }
  return played;
}

async function shorten(
  real: Movable,
  script: readonly Command[],
  first: Difference,
): Promise<{ script: Command[]; difference: Difference }> {
  let difference = first;
  const failsAt = async (shorter: readonly Command[]) => {
    try {
      await replay(real, shorter);
      return null;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      difference = error;
      return error.at;
    }
  };
  const short = await shrink(script.slice(0, first.at + 1), failsAt, SHORTENING);
  return { script: short, difference };
}

/** To be put into found.test.ts as it is. */
function asTest(script: readonly Command[]): string {
  const layout = { depth: null, breakLength: Infinity, compact: 100 };
  const lines = script.map((one) => `    ${inspect(one, layout)},`);
  return `it('', () =>\n  replay(postgres, [\n${lines.join('\n')}\n  ]));\n`;
}
