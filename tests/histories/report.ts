import type { DeviceId } from '../../lib/storage/storage.ts';
import type { Call, Evidence, Violation } from './history.ts';
import type { Counts, Play } from './play.ts';

/** Stories told, violations named and calls shown in each, and characters of a call. */
const MOST = { stories: 4, heads: 4, calls: 16, characters: 300 } as const;

/** One line per count. */
export function tableOf(counts: Counts): string {
  const rows = Object.entries(counts).map(
    ([name, count]) => [name, count.toLocaleString('en')] as const,
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  const digits = Math.max(...rows.map(([, count]) => count.length));
  return rows.map(([name, count]) => `${name.padEnd(width)}  ${count.padStart(digits)}`).join('\n');
}

/** What was found, each with what was done at its device around that time. */
export function reportOf({ violations, evidence }: Play): string {
  if (evidence === null) return '';
  const stories = Map.groupBy(violations, ({ device, calls }) => `${device} ${calls.join(' ')}`);
  const told = [...stories.values()]
    .slice(0, MOST.stories)
    .map((story) => storyOf(story, evidence));
  const more = stories.size - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('\n\n');
}

/** Violations of one device that the same calls show. */
function storyOf(violations: Violation[], { calls }: Evidence): string {
  const device = violations[0]?.device ?? null;
  const ids = violations[0]?.calls ?? [];
  const shown = calls.filter(({ id }) => ids.includes(id));
  // what only the tables show, everything at the device may have to do with
  const end = shown.length > 0 ? Math.max(...shown.map(({ responded }) => responded)) : Infinity;
  const around = calls
    .filter((call) => shown.includes(call) || (call.responded <= end && concerns(call, device)))
    .toSorted((a, b) => a.invoked - b.invoked)
    .slice(-MOST.calls);
  const lines = around.map((call) => `${shown.includes(call) ? '>' : ' '} ${lineOf(call, device)}`);
  const heads = violations
    .slice(0, MOST.heads)
    .map(({ rule, what }) => `${rule}: ${what}${device === null ? '' : `, at ${device}`}`);
  return [...heads, ...lines].join('\n');
}

/** It has done or shown something there. */
function concerns(call: Call, device: DeviceId | null): boolean {
  if (device === null || call.kind === 'getLock') return false;
  return call.args[0] === device || JSON.stringify(call.result).includes(device);
}

/** When, who, what, and what came of it, as far as it is about this device. */
function lineOf(call: Call, device: DeviceId | null): string {
  const { invoked, responded, worker, kind, args, broken, result } = call;
  const cut = (value: unknown) => {
    const text = JSON.stringify(value, (key, part) => essence(key, part, device)) ?? '';
    return text.length > MOST.characters ? `${text.slice(0, MOST.characters)}…` : text;
  };
  const when = `${invoked.toFixed(0)}–${responded.toFixed(0)} ms`;
  const tries = broken.length > 0 ? ` (${broken.length} broken)` : '';
  const outcome = result.known ? cut(result.value) : result.code;
  return `${when}, worker ${worker}: ${kind} ${cut(args)}${tries} = ${outcome}`;
}

/** What only fills the line. */
const TEDIOUS = new Set(
  'content history metadata state account address sessionId createdAt sentAt messageId'.split(' '),
);

function essence(key: string, value: unknown, device: DeviceId | null): unknown {
  if (TEDIOUS.has(key) || value === device) return undefined;
  if (!Array.isArray(value) || device === null) return value;
  if (value.length > 10 && value.every((item) => typeof item === 'string')) return '…';
  return value.filter((item) => isAbout(item, device));
}

function isAbout(item: unknown, device: DeviceId): boolean {
  const isOfOne =
    typeof item === 'object' && item !== null && ('device' in item || 'sender' in item);
  return !isOfOne || JSON.stringify(item).includes(device);
}
