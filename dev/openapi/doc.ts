import type { z } from 'zod';
import type { ErrorCode } from '../../lib/errors.ts';
import type { Operations } from '../../lib/http/operations.ts';
import type { AnswerName } from './answers.ts';

/** An operation, such as `GET /api/lock`. */
export type OperationName = {
  [P in keyof Operations]: `${keyof Operations[P] & string} ${P}`;
}[keyof Operations];

/** One way an operation answers. */
export interface Answer {
  says: string;
  /** JSON of one of these shapes. */
  json?: readonly AnswerName[];
  /** Or text of these media types. */
  text?: readonly string[];
  headers?: Readonly<Record<string, string>>;
}

/** What people are told of an operation. The table of operations says who may call it. */
export interface Doc {
  id: string;
  summary: string;
  more?: string;
  /** Whether X-Device-ID goes along. */
  device?: 'required' | 'optional';
  /** Whether If-Match and If-None-Match guard it. */
  guarded?: true;
  /** What Prefer (RFC 7240) may ask for. */
  prefers?: string;
  query?: z.core.$ZodType;
  /** Headers that carry a proof of the caller's. */
  headers?: Readonly<Record<string, string>>;
  body?: { schema: z.core.$ZodType; type?: string; optional?: true };
  answers: Readonly<Record<number, Answer>>;
  /** Beside what every call of its kind may be refused with. */
  refusals?: readonly ErrorCode[];
}
