export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One thing that happened. Fields are ids, codes, counts and milliseconds; never what somebody wrote. */
export interface LogEvent {
  level: LogLevel;
  event: string;
  /** RFC 3339, by the instance's clock. */
  time: string;
  [field: string]: unknown;
}

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

let threshold: LogLevel = 'info';
let textsShown = false;
let sink: (event: LogEvent) => void = (event) => {
  process.stdout.write(`${toLine(event)}\n`);
};

/** What JSON leaves as it is and a terminal acts on: C1 controls, line separators, changes of direction. */
const ACTED_ON = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** One line that looks the same wherever it is read. */
function toLine(event: LogEvent): string {
  return JSON.stringify(event).replace(
    ACTED_ON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

/**
 * Sends events elsewhere than to standard output: a console that people read, or a test.
 *
 * @param showsText the developer's own screen, where a reply that could not be sent may be read
 */
export function setSink(to: (event: LogEvent) => void, showsText = false): void {
  sink = to;
  textsShown = showsText;
}

/** Writes one event, if its level is wanted. */
export function log(level: LogLevel, event: string, fields: Record<string, unknown> = {}): void {
  if (ORDER.indexOf(level) < ORDER.indexOf(threshold)) return;
  sink({ level, event, time: new Date().toISOString(), ...fields });
}

/** Notes that a reply was kept and not sent; its text goes to the developer's screen alone. */
export function logPrintedReply(fields: Record<string, unknown>, text: string): void {
  log('info', 'reply_printed', textsShown ? { ...fields, text } : fields);
}

/**
 * What may be said of an error: its name, its code, where it was thrown. Not its message: an agent's holds what
 * the user wrote as often as not, and a query's holds the parameters.
 */
export function describeError(error: unknown): { error: string; code?: string; at?: string } {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  // the stack begins with the message, whose lines may look like anything
  const { stack = '', message } = error;
  const start = stack.indexOf(message);
  const frames = start === -1 ? '' : stack.slice(start + message.length);
  const frame = /^ {4}at .+:\d+:\d+\)?$/m.exec(frames)?.[0];
  return { error: error.name, ...code, ...(frame !== undefined && { at: frame.trim() }) };
}
