import { expect } from 'vitest';
import { z } from 'zod';
import { type Answer, type Api, DIGITS, TIME, UUID } from '../support/api.ts';

const held = z.strictObject({
  token: z.string().regex(DIGITS),
  expires_at: z.string().regex(TIME),
});

const message = z.strictObject({
  id: z.string().regex(DIGITS),
  message_id: z.string().nullable(),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  agent: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()),
  created_at: z.string().regex(TIME),
});

const grant = z.strictObject({
  turn: held,
  active_agent: z.string().nullable(),
  state: z.record(z.string(), z.unknown()),
  version: z.string().regex(DIGITS).optional(),
  session_id: z.string().regex(UUID),
  messages: z.array(message).min(1),
  history: z.array(message),
});
const kept = z.looseObject({ turn: held, messages: z.array(message).min(1) });

const lock = z.looseObject({ version: z.string().optional(), expires_at: z.string().optional() });
const state = z.looseObject({ version: z.string().optional() });

/** The turn that a POST gave. */
export function granted(answer: Answer): z.output<typeof grant> {
  expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"token"')]);
  return grant.parse(answer.json);
}

/** The turn that a PUT kept, because more had come in. */
export function keptTurn(answer: Answer): z.output<typeof kept> {
  expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"token"')]);
  return kept.parse(answer.json);
}

/** What was said, as `role: content`. */
export const said = (messages: readonly { role: string; content: string }[]): string[] =>
  messages.map(({ role, content }) => `${role}: ${content}`);

/** The calls of a worker elsewhere for one device. */
export function worker(api: Api, device: string) {
  const path = '/api/turn';
  return {
    device,
    submit: (id: string, content = `text of ${id}`, metadata?: unknown) =>
      api.call('POST', path, {
        device,
        body: { message_id: id, content, ...(metadata !== undefined && { metadata }) },
      }),
    poll: () => api.call('POST', path, { device, body: {} }),
    answer: (token: string, body: object = { replies: [{ content: 'Hi' }] }) =>
      api.call('PUT', path, { device, body: { token, ...body } }),
    renew: (token: string) => api.call('PATCH', path, { device, body: { token } }),
    giveBack: (token: string) => api.call('DELETE', path, { device, body: { token } }),
    lock: async () => lock.parse((await api.call('GET', '/api/lock', { device })).json),
    hold: (agent: string, ttl?: number) =>
      api.call('PUT', '/api/lock', {
        device,
        body: { agent, ...(ttl !== undefined && { session_ttl: ttl }) },
      }),
    state: async () => state.parse((await api.call('GET', '/api/state', { device })).json),
    setState: (state: object) => api.call('PUT', '/api/state', { device, body: { state } }),
    /** What stands in the history and what waits, by place in the device's order. */
    rows: () =>
      api.sql(
        `SELECT seq::int, role, content, status, agent, attempts FROM chat_messages
         WHERE device_id = $1 ORDER BY seq NULLS LAST, id`,
        [device],
      ),
    /** Moves the end of the lease into the past. */
    letLeaseLapse: () =>
      api.sql(
        `UPDATE conversation_states SET turn_expires_at = now() - interval '1 second' WHERE device_id = $1`,
        [device],
      ),
  };
}
export type Worker = ReturnType<typeof worker>;
