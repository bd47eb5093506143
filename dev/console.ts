import { styleText } from 'node:util';
import type { LogEvent } from '../lib/log.ts';

/** Prints an event for the eyes of a developer; coloured on a terminal only. */
export function printEvent(event: LogEvent): void {
  const line = formatEvent(event);
  process.stdout.write(`${process.stdout.isTTY ? colour(event, line) : line}\n`);
}

/**
 * One line per event: who spoke to which agent and how long it took, the text of a reply that was only
 * printed, or the event's name and fields. What came from outside cannot write to the terminal.
 */
export function formatEvent(event: LogEvent): string {
  const { level: _level, event: name, time, ...fields } = event;
  const clock = new Date(time).toLocaleTimeString('en-GB');
  if (name === 'turn') return [clock, ...turnColumns(fields)].join('  ');
  if (name === 'reply_printed' && fields['text'] !== undefined) {
    return `${' '.repeat(clock.length)}  → ${escape(fields['text'])}`;
  }
  return [clock, escape(name), ...Object.entries(fields).map(pair)].join('  ');
}

function turnColumns({
  channel,
  device_id: device,
  agent,
  duration_ms: duration,
  outcome,
  ...rest
}: Record<string, unknown>): string[] {
  return [
    escape(channel).padEnd(8),
    `${escape(device).slice(0, 6)}…`,
    escape(agent ?? '-').padEnd(10),
    `${Math.round(Number(duration))} ms`,
    ...(outcome === 'answered' ? [] : [escape(outcome), ...Object.entries(rest).map(pair)]),
  ];
}

function pair([key, value]: [string, unknown]): string {
  const text = escape(value);
  return `${key}=${/^[^\s"]+$/.test(text) ? text : `"${text}"`}`;
}

/** Control characters and marks that reorder text become visible. */
function escape(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.replaceAll(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function colour({ level, event }: LogEvent, line: string): string {
  if (level === 'error') return styleText('red', line);
  if (level === 'warn') return styleText('yellow', line);
  return event === 'turn' || event === 'reply_printed' ? line : styleText('dim', line);
}
