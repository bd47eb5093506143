import { type Config, readConfig } from '../../lib/config.ts';

export type Environment = Record<string, string>;

/** @throws Error with every mistake */
export function configOf(env: Environment): Config {
  const result = readConfig(env);
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

export function mistakesOf(env: Environment): string[] {
  const result = readConfig(env);
  return result.ok ? [] : result.mistakes;
}

/** The settings that are whole numbers, with what they are unless set and between which they may be. */
export const integers: {
  name: string;
  of: (config: Config) => number;
  fallback: number;
  min: number;
  max: number;
}[] = [
  {
    name: 'DEFAULT_SESSION_TTL',
    of: (c) => c.defaultSessionTtl,
    fallback: 86_400,
    min: 1,
    max: 2_592_000,
  },
  { name: 'SESSION_TTL', of: (c) => c.sessionTtl, fallback: 3_600, min: 1, max: 31_536_000 },
  {
    name: 'COMPLETED_SESSION_TTL',
    of: (c) => c.completedSessionTtl,
    fallback: 86_400,
    min: 1,
    max: 31_536_000,
  },
  { name: 'SESSION_MAX_MESSAGES', of: (c) => c.sessionMaxMessages, fallback: 20, min: 1, max: 100 },
  { name: 'CACHE_TIMEOUT_MS', of: (c) => c.cacheTimeoutMs, fallback: 150, min: 1, max: 10_000 },
  { name: 'CACHE_TTL', of: (c) => c.cacheTtl, fallback: 10, min: 1, max: 300 },
  { name: 'RETENTION_DAYS', of: (c) => c.retentionDays, fallback: 30, min: 0, max: 36_500 },
  {
    name: 'MAX_STATE_BYTES',
    of: (c) => c.maxStateBytes,
    fallback: 1_048_576,
    min: 1_024,
    max: 16_777_216,
  },
  {
    name: 'DEVICE_TOKEN_TTL',
    of: (c) => c.deviceTokenTtl,
    fallback: 2_592_000,
    min: 60,
    max: 31_536_000,
  },
  { name: 'TURN_LEASE', of: (c) => c.turnLease, fallback: 60, min: 1, max: 800 },
  { name: 'REPLY_WAIT', of: (c) => c.replyWait, fallback: 20, min: 0, max: 250 },
  { name: 'MAX_ATTEMPTS', of: (c) => c.maxAttempts, fallback: 5, min: 1, max: 100 },
  { name: 'RESEND_AFTER', of: (c) => c.resendAfter, fallback: 120, min: 1, max: 86_400 },
  { name: 'HUMAN_TTL', of: (c) => c.humanTtl, fallback: 3_600, min: 1, max: 2_592_000 },
  { name: 'BURST_WINDOW_MS', of: (c) => c.burstWindowMs, fallback: 0, min: 0, max: 10_000 },
  {
    name: 'MAX_MESSAGE_BYTES',
    of: (c) => c.maxMessageBytes,
    fallback: 4_194_304,
    min: 1,
    max: 4_194_304,
  },
  {
    name: 'MAX_METADATA_BYTES',
    of: (c) => c.maxMetadataBytes,
    fallback: 1_048_576,
    min: 2,
    max: 4_194_304,
  },
  {
    name: 'MAX_SESSIONS_PER_USER',
    of: (c) => c.maxSessionsPerUser,
    fallback: 1_000,
    min: 0,
    max: 100_000,
  },
  {
    name: 'MAX_SESSIONS_PER_HOUR',
    of: (c) => c.maxSessionsPerHour,
    fallback: 1_000,
    min: 0,
    max: 100_000,
  },
  {
    name: 'MAX_WAITING_MESSAGES',
    of: (c) => c.maxWaitingMessages,
    fallback: 1_000,
    min: 1,
    max: 100_000,
  },
  { name: 'RATE_LIMIT', of: (c) => c.rateLimit, fallback: 1_200, min: 0, max: 60_000 },
  {
    name: 'SESSION_MAX_MESSAGES_KEPT',
    of: (c) => c.redis.kept,
    fallback: 100,
    min: 1,
    max: 10_000,
  },
  { name: 'PORT', of: (c) => c.port, fallback: 3_000, min: 0, max: 65_535 },
];
