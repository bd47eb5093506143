import type { JsonObject } from '../../lib/json.ts';
import type {
  Commit,
  DeviceId,
  Guard,
  IncomingMessage,
  Lane,
  TurnTerms,
  Version,
} from '../../lib/storage/storage.ts';
import type { Answered, Document, GuardBy, Said, Terms } from './commands.ts';

// What commands say in short, as a storage takes it.

/** @param now the side's clock */
export const messageOf = (
  said: Said,
  sender: IncomingMessage['sender'],
  lane: Lane,
  now: number,
): IncomingMessage => {
  const { who, id, sent, byHuman, revokes, maxWaiting } = said;
  const isNamed = 'phone' in who;
  return {
    sender,
    channel: isNamed ? 'whatsapp' : lane === 'builtin' ? 'web' : 'api',
    account: isNamed ? 'n' : '',
    externalId: `m${id}`,
    content: `says ${id}`,
    metadata: { id },
    sentAt: sent === undefined ? null : new Date(now + sent),
    ...(said.answerWithin !== undefined && { answerWithin: said.answerWithin }),
    ...(said.turn === false && { turn: false }),
    ...(byHuman !== undefined && { byHuman: { ttlSeconds: byHuman } }),
    ...(said.becomes !== undefined && { becomes: said.becomes }),
    ...(revokes !== undefined && { revokes: `m${revokes}` }),
    ...(maxWaiting !== undefined && { maxWaiting }),
  };
};

export const termsOf = ({ request, lane, maxTurns, leaseMs }: Terms): TurnTerms => ({
  requestId: `request ${request}`,
  lane,
  maxTurns,
  leaseMs,
});

export const contentOf = ({ replies, state, statePatch, ...rest }: Answered): Commit => ({
  replies: Array.from({ length: replies }, (_, i) => ({
    content: `reply ${i}`,
    metadata: {},
    agent: i === 0 ? null : 'manager',
  })),
  ...(state !== undefined && { state: documentOf(state) }),
  ...(statePatch !== undefined && { statePatch: documentOf(statePatch) }),
  ...rest,
});

export const documentOf = (document: Document): JsonObject =>
  document === 'large' ? { large: 'x'.repeat(30_000) } : document;

export function guardOf(by: GuardBy, [newest, older]: Version[] = []): Guard {
  const unknown = '0' as Version;
  switch (by) {
    case 'none':
    case 'absent':
      return { kind: by };
    case 'any':
      return { kind: 'present', versions: [] };
    case 'newest':
      return { kind: 'present', versions: [newest ?? unknown] };
    case 'older':
      return { kind: 'present', versions: [older ?? unknown] };
  }
}

/** In an order of their own: in which a storage gives devices is its own affair. */
export const byDevice = (a: { device: DeviceId }, b: { device: DeviceId }): number =>
  a.device < b.device ? -1 : 1;
