import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Lane, LockMove } from '../../lib/storage/storage.ts';
import { anyDocument, documentWithoutNulls } from '../support/documents.ts';
import {
  type Answered,
  type Command,
  type Document,
  type Fate,
  type GuardBy,
  type Said,
  type Told,
  WEB_DEVICES,
} from './commands.ts';

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
