import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { JsonObject } from '../../lib/json.ts';
import type { Delivery, Lane, LockMove, ReplyStatus } from '../../lib/storage/storage.ts';
import { anyDocument, documentWithoutNulls } from '../support/documents.ts';

// A script is a list of these: data alone, so that it can be shrunk, printed and played again. What it names by a
// number (a device, a turn, a reply) is looked up when it is played, the newest first; a name that leads to nothing
// yet makes the command do nothing.

/** `large`: one that MAX_STATE_BYTES refuses, as the model tests set it, whoever counts. */
export type Document = JsonObject | 'large';

/** Who says something: one of the web devices, whoever speaks in a chat session, or whom a channel knows by these ids. */
export type Who =
  | { device: number }
  | { session: number; owner: number | null }
  | { phone: string | null; userId: string | null };

export interface Said {
  who: Who;
  /** External ids are few, so that some come twice. */
  id: number;
  /** Milliseconds from now; left out: no clock. */
  sent?: number;
  answerWithin?: number;
  turn?: false;
  byHuman?: number | null;
  becomes?: { phone: string | null; userId: string | null };
  revokes?: number;
  maxWaiting?: number;
}

export interface Terms {
  request: number;
  lane: Lane;
  maxTurns: number;
  leaseMs: number;
}

/** Names a version of what is guarded: the newest that was seen of the device, the one before, or any. */
export type GuardBy = 'none' | 'absent' | 'any' | 'newest' | 'older';

export interface Answered {
  replies: number;
  deliver: boolean;
  state?: Document;
  statePatch?: Document;
  lock: LockMove;
  complete?: boolean;
}

/** What is said of one reply of the turn; null: nothing. */
export type Fate = Omit<Delivery, 'id' | 'externalId' | 'instead'> & {
  attempt?: number;
  instead?: true;
};

export interface Told {
  reply: number;
  status: ReplyStatus['status'];
  /** Found by its own id, not by the channel's. */
  byId: boolean;
  attempt: number;
  retryMs?: number;
}

export type Command =
  | ({ do: 'accept'; said: Said[] } & Terms)
  | ({ do: 'next'; devices: number[] } & Terms)
  | { do: 'recover'; maxTurns: number; leaseMs: number }
  | { do: 'commit'; turn: number; otherLane?: true; content: Answered; leaseMs: number }
  | { do: 'commit again'; turn: number; leaseMs: number }
  | { do: 'settle'; turn: number; fates: (Fate | null)[]; leaseMs: number }
  | { do: 'extend'; turn: number; leaseMs: number }
  | { do: 'give back'; turn: number }
  | { do: 'fail'; turn: number }
  | { do: 'set lock'; device: number; agent: string; ttl: number; guard: GuardBy }
  | { do: 'clear lock'; device: number; guard: GuardBy }
  | { do: 'put state'; device: number; document: Document; guard: GuardBy }
  | { do: 'patch state'; device: number; document: Document; guard: GuardBy }
  | { do: 'clear state'; device: number; guard: GuardBy }
  | { do: 'note statuses'; told: Told[] }
  | { do: 'read answer'; device: number; id: number }
  | { do: 'list failed'; device: number | null; limit: number }
  | { do: 'retry failed'; device: number | null; limit: number }
  | {
      do: 'create session';
      device: number;
      id: number;
      user: string | null;
      ttl: number | null;
      living: number;
      hourly: number;
    }
  | {
      do: 'patch session';
      session: number;
      owner: number | null;
      metadata: Document;
      complete: boolean;
    }
  | { do: 'delete session'; session: number; owner: number | null; includeExpired: boolean }
  | {
      do: 'read history';
      session: number;
      includeExpired: boolean;
      before: number | null;
      limit: number;
    }
  | {
      do: 'list sessions';
      device: number | null;
      user: string | null;
      active: boolean | null;
      includeExpired: boolean;
    }
  | { do: 'export'; session: number }
  | { do: 'erase device'; device: number }
  | { do: 'erase user'; user: string; limit: number }
  | { do: 'link'; device: number; to: number; code: 'right' | 'wrong' }
  | { do: 'unlink'; device: number }
  | { do: 'clean up'; batch: number }
  /** To just before, exactly at, or just after the nth time that will matter. */
  | { do: 'wait until'; nth: number; off: -1 | 0 | 1 }
  | { do: 'wait'; ms: number };

export const WEB_DEVICES = 3;

/** With all of its keys, or at least the required ones; an ordinary object each time. */
const record: typeof fc.record = <T>(model: FieldsOf<T>, constraints: object = {}) =>
  fc.record(model, { noNullPrototype: true, ...constraints });

const lane = fc.constantFrom<Lane>('builtin', 'builtin', 'builtin', 'external');
const leaseMs = fc.constantFrom(60_000, 60_000, 1_000, 1);
/** The newest turn most of the time, and now and then one that is long over. */
const turn = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.nat(12) },
);
const device = fc.nat(7);
const agent = fc.constantFrom('billing', 'scheduling', 'human');
const ttl = fc.constantFrom(1, 60, 3_600);
const guard = fc.constantFrom<GuardBy>('none', 'none', 'absent', 'any', 'newest', 'older');
const terms = {
  request: fc.nat(8),
  lane,
  maxTurns: fc.constantFrom(4, 4, 1, 2, 0),
  leaseMs,
};

const phone = fc.constantFrom('1', '2', '3');
const userId = fc.constantFrom('A', 'B', 'C');
const ids = fc.oneof(
  record({ phone, userId }),
  record({ phone, userId: fc.constant(null) }),
  record({ phone: fc.constant(null), userId }),
);
const session = fc.nat(5);
const webDevice = fc.nat(WEB_DEVICES - 1);
const owner = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: webDevice },
);
const who = fc.oneof(
  { weight: 3, arbitrary: record({ device: webDevice }) },
  {
    weight: 1,
    arbitrary: record({ session, owner }),
  },
  { weight: 2, arbitrary: ids },
);
const messageId = fc.nat(40);
const sent = fc.constantFrom(0, -1_000, -5_000, 500_000, 700_000, -3e9, -1e12);
const plain = record({ who, id: messageId, sent }, { requiredKeys: ['who', 'id'] });
const odd = fc.oneof(
  record({ who, id: messageId, turn: fc.constant<false>(false), revokes: messageId }),
  record({ who, id: messageId, answerWithin: fc.constantFrom(1, 3_600), sent }),
  record({ who, id: messageId, byHuman: fc.constantFrom(null, 1, 60, 3_600) }),
  record({ who: ids, id: messageId, turn: fc.constant<false>(false), becomes: ids }),
);
/** On its own: whether the others of its batch count is a storage's own affair. */
const limited = record({ who, id: messageId, maxWaiting: fc.nat(2) });
const said = fc.oneof({ weight: 9, arbitrary: plain }, { weight: 1, arbitrary: odd });

/**
 * A batch of one channel, in which two of one external id are copies of one message, and one person at most has become
 * another: which of two such claims counts is a storage's own affair.
 */
const asOneBatch = (batch: Said[]): Said[] =>
  batch
    .filter(
      ({ becomes }, i) =>
        becomes === undefined || batch.findIndex((one) => one.becomes !== undefined) === i,
    )
    .filter(({ who }) => 'phone' in who === 'phone' in (batch[0]?.who ?? {}))
    .filter((one, i, left) =>
      left.slice(0, i).every((other) => other.id !== one.id || isDeepStrictEqual(other, one)),
    );

const patch = fc.oneof(documentWithoutNulls, anyDocument);

const lockMove: fc.Arbitrary<LockMove> = fc.oneof(
  fc.constant({ do: 'keep' as const }),
  fc.constant({ do: 'clear' as const }),
  record({ do: fc.constant('renew' as const), ttl }, { requiredKeys: ['do'] }),
  record({ do: fc.constant('set' as const), agent, ttl }),
);
/** A few documents are enough where a turn writes them; what merging does to others is asked of `patch state`. */
const small = fc.constantFrom<Document>({}, { a: 1 }, { b: { c: null } }, { a: null }, 'large');
const content: fc.Arbitrary<Answered> = record(
  {
    replies: fc.nat(2),
    deliver: fc.boolean(),
    state: small,
    statePatch: small,
    lock: lockMove,
    complete: fc.boolean(),
  },
  { requiredKeys: ['replies', 'deliver', 'lock'] },
);

const user = fc.constantFrom(null, 'ana', 'ben');

const retryMs = fc.constantFrom(0, 1_000, 60_000);
const fate: fc.Arbitrary<Fate> = fc.oneof(
  record({ status: fc.constantFrom('sent' as const), attempt: fc.nat(1) }),
  record(
    {
      status: fc.constantFrom(...(['printed', 'failed', 'pending', 'unknown'] as const)),
      retryMs,
      error: fc.constant('graph_1'),
    },
    { requiredKeys: ['status'] },
  ),
  record({ status: fc.constant('pending' as const), untried: fc.constant(true) }),
  record({ status: fc.constant('failed' as const), instead: fc.constant<true>(true) }),
);
const told: fc.Arbitrary<Told> = fc.oneof(
  record({
    reply: fc.nat(5),
    status: fc.constantFrom(...(['sent', 'delivered', 'read', 'failed'] as const)),
    byId: fc.boolean(),
    attempt: fc.nat(1),
  }),
  record({
    reply: fc.nat(5),
    status: fc.constant('failed' as const),
    byId: fc.boolean(),
    attempt: fc.nat(1),
    retryMs,
  }),
);

/** One command, the common ones more often. */
export const command: fc.Arbitrary<Command> = fc.oneof(
  weighted(10, 'accept', {
    said: fc.array(said, { minLength: 1, maxLength: 4 }).map(asOneBatch),
    ...terms,
  }),
  weighted(1, 'accept', { said: fc.tuple(limited), ...terms }),
  weighted(4, 'next', { devices: fc.array(device, { maxLength: 4 }), ...terms }),
  weighted(4, 'recover', { maxTurns: fc.constantFrom(1, 2, 100), leaseMs }),
  weighted(8, 'commit', { turn, content, leaseMs }),
  weighted(1, 'commit', { turn, content, leaseMs, otherLane: fc.constant(true) }),
  weighted(3, 'commit again', { turn, leaseMs }),
  weighted(7, 'settle', {
    turn,
    fates: fc.array(fc.option(fate), { maxLength: 3 }),
    leaseMs: fc.constantFrom(60_000, 60_000, 1_000, 0),
  }),
  weighted(2, 'extend', { turn, leaseMs }),
  weighted(2, 'give back', { turn }),
  weighted(4, 'fail', { turn }),
  weighted(4, 'set lock', { device, agent, ttl, guard }),
  weighted(2, 'clear lock', { device, guard }),
  weighted(2, 'put state', { device, document: anyDocument, guard }),
  weighted(2, 'patch state', { device, document: patch, guard }),
  // with a guard, which of two refusals is told is a storage's own affair
  weighted(1, 'patch state', {
    device,
    document: fc.constant('large'),
    guard: fc.constant('none'),
  }),
  weighted(1, 'clear state', { device, guard }),
  weighted(3, 'note statuses', { told: fc.array(told, { minLength: 1, maxLength: 3 }) }),
  weighted(2, 'read answer', { device, id: messageId }),
  weighted(1, 'list failed', { device: fc.option(device), limit: fc.constantFrom(1, 100) }),
  weighted(1, 'retry failed', { device: fc.option(device), limit: fc.constantFrom(1, 100) }),
  weighted(2, 'create session', {
    device,
    id: fc.nat(5),
    user,
    ttl: fc.constantFrom(null, 1, 100_000),
    living: fc.constantFrom(0, 0, 2),
    hourly: fc.constantFrom(0, 0, 3),
  }),
  weighted(2, 'patch session', {
    session,
    metadata: small,
    complete: fc.boolean(),
    owner,
  }),
  weighted(1, 'delete session', {
    session,
    includeExpired: fc.boolean(),
    owner,
  }),
  weighted(1, 'read history', {
    session,
    includeExpired: fc.boolean(),
    limit: fc.constantFrom(1, 3, 100),
    before: fc.option(fc.nat(9)),
  }),
  weighted(1, 'list sessions', {
    device: fc.option(device),
    user,
    active: fc.constantFrom(null, true, false),
    includeExpired: fc.boolean(),
  }),
  weighted(1, 'export', { session }),
  weighted(1, 'erase device', { device }),
  weighted(1, 'erase user', {
    user: fc.constantFrom('ana', 'ben'),
    limit: fc.constantFrom(1, 100),
  }),
  weighted(2, 'link', { device, to: device, code: fc.constantFrom('right', 'right', 'wrong') }),
  weighted(1, 'unlink', { device }),
  weighted(2, 'clean up', { batch: fc.constantFrom(1, 3, 1_000) }),
  weighted(7, 'wait until', { nth: fc.nat(3), off: fc.constantFrom(-1, 0, 1) }),
  weighted(2, 'wait', {
    ms: fc.constantFrom(1, 1_000, 60_000, 3_600_000, 86_400_000, 6 * 86_400_000),
  }),
);

type Named<Name extends Command['do']> = Omit<Extract<Command, { do: Name }>, 'do'>;
type FieldsOf<T> = { [Key in keyof T]: fc.Arbitrary<T[Key]> };

function weighted<Name extends Command['do']>(
  weight: number,
  name: Name,
  fields: FieldsOf<Named<Name>>,
): fc.WeightedArbitrary<Command> {
  // an arbitrary for each field of the one command of this name
  const arbitrary = record({ do: fc.constant(name), ...fields }) as fc.Arbitrary<unknown>;
  return { weight, arbitrary: arbitrary as fc.Arbitrary<Command> };
}
