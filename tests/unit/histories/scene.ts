import type {
  AcceptedDevice,
  Commit,
  DeviceId,
  Fence,
  Lock,
  Message,
  Turn,
  Version,
} from '../../../lib/storage/storage.ts';
import {
  agentOf,
  type Call,
  type CallOf,
  type Evidence,
  type Kind,
  type MessageRow,
  questionOf,
  replyTo,
  type Value,
} from '../../histories/history.ts';
import { said, turnWith } from '../../support/turns.ts';

// Histories made by hand. Milliseconds of the process and of the database count from the same moment.

const START = Date.UTC(2026, 10, 20);
export const at = (ms: number) => new Date(START + ms);
export const LEASE = 100;
export const here = 'aaaaaaaa-0000-4000-8000-000000000001' as DeviceId;
export const there = 'bbbbbbbb-0000-4000-8000-000000000002' as DeviceId;

/** A call that took place at this moment, with a millisecond on either side. */
export function call<K extends Kind>(
  kind: K,
  ms: number,
  args: CallOf<K>['args'],
  value: Value<K>,
  some: Partial<Pick<CallOf<K>, 'invoked' | 'responded' | 'broken' | 'result'>> = {},
): Call {
  const result = { known: true, value } as const;
  const times = { invoked: ms - 1, responded: ms + 1, broken: [] };
  return { id: 0, worker: 0, kind, args, result, ...times, ...some } as unknown as Call;
}

const terms = (requestId: string) => ({
  requestId,
  lane: 'builtin' as const,
  leaseMs: LEASE,
  maxTurns: 4,
});

/** The turn over these messages (named `m` and their id), given at this moment. */
export function turn(
  ms: number,
  fence: number,
  ids: readonly string[],
  some: Partial<Turn> = {},
): Turn {
  return turnWith({
    device: here,
    fence: String(fence) as Fence,
    expiresAt: at(ms + LEASE),
    messages: ids.map(messageOf),
    ...some,
  });
}

function messageOf(id: string): Message {
  const [message] = said(questionOf(here, `m${id}`));
  if (message === undefined) throw new Error('nothing was said');
  return { ...message, id, messageId: `m${id}` };
}

export function lock(agent: number, version: number, from: number, ttl = 1): Lock {
  return {
    agent: agentOf(here, agent),
    lockedAt: at(from),
    expiresAt: at(from + ttl * 1_000),
    sessionTtl: ttl,
    version: String(version) as Version,
  };
}

/** ACCEPT of one message. */
export function accept(
  ms: number,
  id: string,
  some: Partial<AcceptedDevice> = {},
  told: Partial<AcceptedDevice['messages'][number]> = {},
): Call {
  const message = {
    sender: { device: here },
    channel: 'web',
    account: here,
    externalId: `m${id}`,
    content: questionOf(here, `m${id}`),
    metadata: {},
    sentAt: null,
  };
  const stored = {
    index: 0,
    id,
    messageId: `m${id}`,
    sessionId: 's',
    status: 'waiting',
    duplicate: false,
    ...told,
  };
  const device = {
    device: here,
    messages: [stored],
    refused: [],
    lock: null,
    waiting: false,
    turn: null,
    now: at(ms),
  };
  return call('accept', ms, [[message], terms(`request at ${ms}`)], [{ ...device, ...some }]);
}

/** COMMIT that answers these messages with a reply each. */
export function commit(
  ms: number,
  fence: number,
  ids: readonly string[],
  some: Partial<Extract<Value<'commit'>, { outcome: 'committed' }>> = {},
  content: Partial<Commit> = {},
): Call {
  const replies = ids.map((id) => ({
    content: replyTo(here, `m${id}`),
    metadata: {},
    agent: null,
  }));
  const written: Commit = { replies, deliver: false, lock: { do: 'keep' }, ...content };
  return call('commit', ms, [here, String(fence) as Fence, 'builtin', written, LEASE], {
    outcome: 'committed',
    now: at(ms),
    lock: null,
    sessionId: 's',
    answered: ids.map((id) => ({ id, messageId: `m${id}` })),
    replies: [],
    deliver: false,
    turn: null,
    ...some,
  });
}

/** An answered message. */
export function question(
  id: string,
  seq: number | null,
  fence: number | null,
  some: Partial<MessageRow> = {},
): MessageRow {
  const status = fence === null ? 'waiting' : 'answered';
  const content = questionOf(here, `m${id}`);
  return { ...row(id, seq, fence), role: 'user', content, externalId: `m${id}`, status, ...some };
}

/** The reply to the message of the id. */
export function reply(
  id: string,
  to: string,
  seq: number,
  fence: number,
  some: Partial<MessageRow> = {},
): MessageRow {
  const content = replyTo(here, `m${to}`);
  return {
    ...row(id, seq, fence),
    role: 'assistant',
    content,
    status: 'sent',
    answers: [to],
    ...some,
  };
}

const row = (id: string, seq: number | null, fence: number | null) => ({
  id,
  device: here,
  session: 's',
  seq,
  lane: 'builtin' as const,
  externalId: null,
  answers: null,
  fence: fence === null ? null : String(fence),
});

/** Everything that was seen; the calls get their ids by their place. */
export function evidence(
  calls: readonly Call[],
  messages: MessageRow[] = [],
  dump: Partial<Evidence['dump']> = {},
): Evidence {
  const lastSeq = messages.filter(({ seq, device }) => seq !== null && device === here).length;
  return {
    calls: calls.map((one, id) => ({ ...one, id })),
    dump: {
      messages,
      devices: [{ device: here, agent: null, lastSeq, state: null }],
      events: [],
      ...dump,
    },
    devices: [here, there],
    clockOffset: START,
    drainedFrom: 1e9,
  };
}

/** The same call, but no answer came: the connection broke between these two moments. */
export const lost = (one: Call, from = one.invoked, to = one.responded): Call => ({
  ...one,
  invoked: from,
  responded: to,
  broken: [{ from, to }],
  result: { known: false, code: 'storage_unavailable' },
});

/** Message 1, accepted with the turn 5 at 10 ms, answered at 30 ms; and how it lies in the tables. */
export const asked = accept(10, '1', { turn: turn(10, 5, ['1']) });
export const answered = commit(30, 5, ['1']);
export const rows = [question('1', 1, 5), reply('2', '1', 2, 5)];
export const more = (...messages: MessageRow[]): MessageRow[] => [...rows, ...messages];
