import type { Timed } from './records.ts';

/** Something that an instance counts, and that adds up over all of them. Each with its label's values in counters.ts. */
export type CounterName = 'cache' | 'cleanups' | 'errors' | 'expired' | 'turns';

export interface Count {
  name: CounterName;
  label: string;
  by: number;
}

/** What has added up, since the deployment began. */
export interface Counter {
  name: string;
  label: string;
  value: number;
  /** When it last grew. */
  updatedAt: Date;
}

/** How something is spread, in seconds; null: there is nothing. */
export interface Spread {
  count: number;
  median: number | null;
  p95: number | null;
}

export interface SessionFigures {
  /** Alive: running, and completed. */
  active: number;
  complete: number;
  /** Over, and not yet purged. */
  expired: number;
  /** Bytes of the texts in their histories. */
  averageBytes: number;
  largestBytes: number;
  /** Sessions of more than a mebibyte. */
  over1mb: number;
}

/** What is monitored, as of one moment. */
export interface Metrics extends Timed {
  locks: { agent: string; active: number }[];
  /** How long the live locks have been held; `sum` of all of them. */
  lockAge: Spread & { sum: number };
  sessions: SessionFigures;
  /** Messages that wait for an answer, and that were set aside. */
  waiting: number;
  failed: number;
  /** Replies by status: all that are not out yet, and of the others those of the last day. */
  replies: Readonly<Record<string, number>>;
  counters: Counter[];
}

/** What was going on since a time. */
export interface Stats extends Timed {
  since: Date;
  /** Live locks, by how long they have been held. */
  locks: (Spread & { agent: string })[];
  /** Holdings that have ended, by how long they lasted. */
  holdings: (Spread & { agent: string })[];
  handOvers: { from: string; to: string; count: number }[];
  sessions: SessionFigures & { created: number };
  waiting: number;
  failed: number;
  /** Messages by the day (UTC) of their arrival. */
  days: { day: string; user: number; assistant: number }[];
  /** From the arrival of a message to its answer, of the newest 10,000 turns at most. */
  answers: Spread;
  /** Messages that were set aside, and replies that did not go out: an error's name or code. */
  errors: { role: 'user' | 'assistant'; error: string; count: number }[];
  counters: Counter[];
}

/** Figures of everything. The same promises as `Storage` gives, but for one: a count may be added twice, or lost. */
export interface FigureStorage {
  addCounts(counts: Count[]): Promise<void>;
  readMetrics(): Promise<Metrics>;
  /** @param since null: seven days ago */
  readStats(since: Date | null): Promise<Stats>;
}
