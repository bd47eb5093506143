import { STATUS_CODES } from 'node:http';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Answer, Api } from './api.ts';

const problem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string().min(1),
  code: z.string(),
  errors: z
    .array(z.strictObject({ path: z.string(), message: z.string().min(1) }))
    .min(1)
    .optional(),
});
type Problem = z.output<typeof problem>;

/** Sees that an answer is the RFC 9457 problem with this status and code, and tells nothing it should not. */
export function expectProblem(answer: Answer, status: number, code: string): Problem {
  expect([answer.status, answer.text]).toEqual([
    status,
    expect.stringContaining(`"code":"${code}"`),
  ]);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  const body = problem.parse(answer.json);
  expect(body).toMatchObject({ status, code, title: STATUS_CODES[status] });
  expect(answer.text).not.toMatch(
    /\n\s+at |node_modules|\.ts:\d|\b(select|insert|update) .* (from|into|set)\b|\$\d/i,
  );
  return body;
}

/** Makes a call that must be refused, and sees that nothing was stored by it. */
export async function refuse(
  api: Api,
  [status, code]: readonly [number, string],
  ...call: Parameters<Api['call']>
): Promise<Answer & { problem: Problem }> {
  const before = await api.stored();
  const answer = await api.call(...call);
  const told = expectProblem(answer, status, code);
  expect(await api.stored()).toEqual(before);
  return { ...answer, problem: told };
}
