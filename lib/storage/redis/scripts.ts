import { createHash } from 'node:crypto';
import { BatonError } from '../../errors.ts';
import { parseJson } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import { BASE } from './lua/base.ts';
import { DEVICES } from './lua/devices.ts';
import { LOCKS } from './lua/locks.ts';
import { ROWS } from './lua/rows.ts';
import { SESSIONS } from './lua/sessions.ts';
import { TURNS } from './lua/turns.ts';
import type { Answer, Command, Send } from './upstash.ts';

/** An operation as Redis runs it: in one piece, nobody else's in between. */
export interface Script {
  source: string;
  /** Redis knows it by this, once it has run it. */
  sha: string;
}

/** What the scripts of a deployment have in common. */
export interface Settings {
  /** What every key begins with; two deployments on one Redis need two. */
  prefix: string;
  /** Messages of a chat session that are kept; older ones go as new ones come. */
  kept: number;
  /** Bytes of its messages that are kept, and the newest message in any case; left out: a mebibyte. */
  keptBytes?: number;
  limits: StorageLimits;
}

/** @param parts helpers, in an order in which each knows those it needs; the last is the operation itself */
export function script(...parts: string[]): Script {
  const source = [BASE, ROWS, DEVICES, SESSIONS, LOCKS, TURNS, ...parts].join('');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** Runs scripts, each with an input of its own, in one round trip; gives what they return. */
export interface Runner {
  run(of: Script, input: object, repeatable?: boolean): Promise<unknown>;
  runAll(of: Script, inputs: readonly object[]): Promise<unknown[]>;
}

export function createRunner(
  send: Send,
  { prefix, kept, keptBytes = 1_048_576, limits }: Settings,
): Runner {
  const common = { prefix, limits: { ...limits, kept, keptBytes } };
  const runAll = async (of: Script, inputs: readonly object[], repeatable: boolean) => {
    const texts = inputs.map((input) => encode({ ...common, ...input }));
    const known = texts.map((text): Command => ['EVALSHA', of.sha, 0, text]);
    const answers = await send(known, repeatable);
    const missing = answers.findIndex(isUnknown);
    if (missing === -1) return answers.map(resultOf);
    // a Redis that was restarted, or sees this script for the first time: from there on nothing has run
    const rest = texts
      .slice(missing)
      .map((text, index): Command =>
        index === 0 ? ['EVAL', of.source, 0, text] : ['EVALSHA', of.sha, 0, text],
      );
    const later = await send(rest, repeatable);
    return [...answers.slice(0, missing), ...later].map(resultOf);
  };
  return {
    run: async (of, input, repeatable = true) => (await runAll(of, [input], repeatable))[0],
    runAll: (of, inputs) => runAll(of, inputs, true),
  };
}

const isUnknown = (answer: Answer) => 'error' in answer && answer.error.startsWith('NOSCRIPT');

/** Times as milliseconds, and no nulls: Lua has one word for nothing. */
function encode(input: object): string {
  const text = JSON.stringify(
    input,
    function replace(this: Record<string, unknown>, key, value: unknown) {
      const held = this[key];
      if (held instanceof Date) return held.getTime();
      return value === null ? undefined : value;
    },
  );
  // printed so by JSON.stringify where it stands alone, and refused by Redis's parser
  if (text.includes('\\ud') && /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(text)) {
    throw new BatonError(
      'unstorable_text',
      'A text holds half a surrogate pair, which cannot be stored; remove it',
    );
  }
  return text;
}

function resultOf(answer: Answer): unknown {
  if (!('error' in answer)) {
    const result: unknown = typeof answer.result === 'string' ? parseJson(answer.result) : null;
    if (isTooLarge(result)) {
      throw new BatonError(
        'state_too_large',
        'The conversation state would grow past MAX_STATE_BYTES; nothing was written. Send less',
      );
    }
    return result;
  }
  // what Redis says of a script may hold what it was given
  if (/user_script|running script|loading script|compiling script/i.test(answer.error)) {
    throw new BatonError(
      'internal_error',
      'Redis refused a script; this is a defect of Baton, please report it',
    );
  }
  throw new BatonError(
    'storage_unavailable',
    'Redis would not take a command; try again in a few seconds',
  );
}

const isTooLarge = (result: unknown): boolean =>
  typeof result === 'object' && result !== null && 'tooLarge' in result;
