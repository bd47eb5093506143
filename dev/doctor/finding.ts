/** One thing that was looked at. */
export interface Finding {
  topic: string;
  /** `todo`: something must be done. `note`: fine for now, and worth knowing. */
  grade: 'ok' | 'note' | 'todo';
  /** What was found; where something must be done, what. Never a secret, a phone number or a URL's password. */
  text: string;
}

/** Milliseconds until whatever does not answer counts as away. */
export const patienceMs = 5_000;

export const ok = (topic: string, text: string): Finding => ({ topic, grade: 'ok', text });
export const note = (topic: string, text: string): Finding => ({ topic, grade: 'note', text });
export const todo = (topic: string, text: string): Finding => ({ topic, grade: 'todo', text });

/** Whole milliseconds since `started`, as `performance.now()` gave it. */
export const since = (started: number): string => `${Math.round(performance.now() - started)} ms`;

/** The code of an error: its message may hold parameters and addresses. */
export function codeOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) {
    if ('code' in e && typeof e.code === 'string') return e.code;
  }
  return error instanceof Error ? error.name : 'unknown error';
}
