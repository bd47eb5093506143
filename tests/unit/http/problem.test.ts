import { STATUS_CODES } from 'node:http';
import { describe, expect, it } from 'vitest';
import { BatonError, type ErrorCode } from '../../../lib/errors.ts';
import { problem } from '../../../lib/http/problem.ts';

/** The contract's status of every code; a new code does not compile until it has one here. */
const statuses: Record<ErrorCode, number> = {
  invalid_device_id: 400,
  invalid_json: 400,
  invalid_request: 400,
  unstorable_text: 400,
  unauthorized: 401,
  forbidden: 403,
  wrong_device: 403,
  not_found: 404,
  session_not_found: 404,
  device_not_found: 404,
  link_code_invalid: 404,
  method_not_allowed: 405,
  body_timeout: 408,
  device_exists: 409,
  turn_lost: 409,
  state_conflict: 409,
  session_complete: 409,
  version_conflict: 412,
  body_too_large: 413,
  state_too_large: 413,
  message_too_large: 413,
  metadata_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal_error: 500,
  agent_failed: 500,
  not_supported: 501,
  storage_unavailable: 503,
  identity_unavailable: 503,
  not_configured: 503,
};

const codes = Object.entries(statuses) as [ErrorCode, number][];

describe.each(codes)('%s', (code, status) => {
  it(`is a problem document with status ${status}`, async () => {
    const response = problem(new BatonError(code, 'What to do next'));
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual({
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      detail: 'What to do next',
      code,
    });
  });
});

/** What is over after a while, so that the same call again may succeed. */
const passing: readonly ErrorCode[] = [
  'rate_limited',
  'storage_unavailable',
  'identity_unavailable',
];

describe('problem', () => {
  it('adds what is wrong where something is', async () => {
    const fields = [{ path: 'replies.0.content', message: 'expected string' }];
    expect(
      await problem(new BatonError('invalid_request', 'See errors', fields)).json(),
    ).toMatchObject({ errors: fields });
  });

  it('asks for a bearer token where a credential is missing', () => {
    expect(problem(new BatonError('unauthorized', 'x')).headers.get('www-authenticate')).toBe(
      'Bearer',
    );
  });

  it.each(passing)('says when to come back: %s', (code) => {
    expect(Number(problem(new BatonError(code, 'x')).headers.get('retry-after'))).toBeGreaterThan(
      0,
    );
  });

  it('says so of no other code', () => {
    for (const [code] of codes) {
      const { headers } = problem(new BatonError(code, 'x'));
      expect(headers.has('www-authenticate')).toBe(code === 'unauthorized');
      expect(headers.has('retry-after')).toBe(passing.includes(code));
    }
  });

  it('carries the headers it is given', () => {
    expect(
      problem(new BatonError('method_not_allowed', 'x'), { allow: 'GET, PUT' }).headers.get(
        'allow',
      ),
    ).toBe('GET, PUT');
  });

  it('never carries a stack', async () => {
    const text = await problem(new BatonError('internal_error', 'Something went wrong')).text();
    expect(text).not.toMatch(/ at |\.ts|node:/);
  });
});
