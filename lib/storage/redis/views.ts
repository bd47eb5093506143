import { type JsonObject, parseJson } from '../../json.ts';
import type {
  ChatSession,
  DeviceId,
  Fence,
  ListedSession,
  Lock,
  Message,
  OutgoingReply,
  Turn,
  Version,
} from '../storage.ts';

// What the scripts return, as JSON has it: times in milliseconds, documents as texts, nothing where something is
// absent, and `{}` for an empty list, which Lua cannot tell from an empty object.

export type Told<T> = { now: number } & T;
export type List<T> = T[] | Record<string, never>;

export interface ToldLock {
  agent: string;
  lockedAt: number;
  expiresAt: number;
  sessionTtl: number;
  version: string;
}

export interface ToldMessage {
  id: string;
  messageId?: string;
  role: Message['role'];
  content: string;
  agent?: string;
  metadata: string;
  sentAt: number;
  createdAt: number;
}

export interface ToldReply extends ToldMessage {
  attempts: number;
  address: Record<string, string>;
  inWindow: boolean;
}

export interface ToldTurn {
  device: string;
  fence: string;
  expiresAt: number;
  sessionId: string;
  channel: string;
  account: string;
  address: Record<string, string>;
  lock?: ToldLock;
  state: string;
  stateVersion?: string;
  messages: List<ToldMessage>;
  history: List<ToldMessage>;
  replies: List<ToldReply>;
}

export interface ToldSession {
  id: string;
  device: string;
  user?: string;
  channel: string;
  metadata?: string;
  complete: boolean;
  messageCount: number;
  createdAt: number;
  lastActivity: number;
  expiresAt: number;
}

export const listOf = <T>(list: List<T> | undefined): T[] => (Array.isArray(list) ? list : []);
export const dateOf = (ms: number): Date => new Date(ms);
export const documentOf = (text: string): JsonObject => parseJson(text) as JsonObject;

/** A text for the scripts, which merge it and give it back, and read nothing in it. */
export const textOf = (document: JsonObject): string => JSON.stringify(document);

export const parseLock = (told: ToldLock | undefined): Lock | null =>
  told === undefined
    ? null
    : {
        agent: told.agent,
        lockedAt: dateOf(told.lockedAt),
        expiresAt: dateOf(told.expiresAt),
        sessionTtl: told.sessionTtl,
        version: told.version as Version,
      };

export const parseMessage = (told: ToldMessage): Message => ({
  id: told.id,
  messageId: told.messageId ?? null,
  role: told.role,
  content: told.content,
  agent: told.agent ?? null,
  metadata: documentOf(told.metadata),
  sentAt: dateOf(told.sentAt),
  createdAt: dateOf(told.createdAt),
});

export const parseReply = (told: ToldReply): OutgoingReply => ({
  ...parseMessage(told),
  attempts: told.attempts,
  address: told.address,
  inWindow: told.inWindow,
});

export const parseTurn = (told: ToldTurn | undefined): Turn | null =>
  told === undefined
    ? null
    : {
        device: told.device as DeviceId,
        fence: told.fence as Fence,
        expiresAt: dateOf(told.expiresAt),
        sessionId: told.sessionId,
        channel: told.channel,
        account: told.account,
        address: told.address,
        lock: parseLock(told.lock),
        state: documentOf(told.state),
        stateVersion: (told.stateVersion ?? null) as Version | null,
        messages: listOf(told.messages).map(parseMessage),
        history: listOf(told.history).map(parseMessage),
        replies: listOf(told.replies).map(parseReply),
      };

export const parseTurns = (told: List<ToldTurn>): Turn[] =>
  listOf(told).flatMap((turn) => parseTurn(turn) ?? []);

export const parseListed = (told: ToldSession): ListedSession => ({
  id: told.id,
  device: told.device as DeviceId,
  user: told.user ?? null,
  channel: told.channel,
  metadata: told.metadata === undefined ? null : documentOf(told.metadata),
  complete: told.complete,
  messageCount: told.messageCount,
  createdAt: dateOf(told.createdAt),
  lastActivity: dateOf(told.lastActivity),
  expiresAt: dateOf(told.expiresAt),
});

export const parseSession = (told: ToldSession): ChatSession => ({
  ...parseListed(told),
  metadata: documentOf(told.metadata ?? '{}'),
});
