import { type Environment, Reader } from './config-reader.ts';
import { type Secret, toSecret } from './secrets.ts';

/** Every setting, parsed and checked; the one place that reads the environment. */
export interface Config {
  databaseUrl: string | null;
  /** The same database past its pooler, for migrations: they hold a lock of the session. */
  directDatabaseUrl: string | null;
  /** Neon over HTTP for any host of theirs, `pg` over TCP for every other, unless DATABASE_DRIVER says. */
  databaseDriver: 'neon-http' | 'pg';
  storage: 'postgres' | 'redis' | 'memory';
  /** Upstash Redis over HTTP. */
  cache: { url: string; token: string } | null;
  /** Milliseconds a request waits for the cache, once; then nobody does until it answers again. */
  cacheTimeoutMs: number;
  /** Seconds for which what was read may be given to others: how long a cut wire to the cache can do harm. */
  cacheTtl: number;
  /** Where everything is kept in Redis: what its keys begin with, and the messages of a session that are kept. */
  redis: { prefix: string; kept: number };
  apiKeys: readonly Secret[];
  deviceTokenSecrets: readonly Secret[];
  cronSecrets: readonly Secret[];
  /** Seconds. */
  deviceTokenTtl: number;
  /** Tokens of the deployer's own identity provider, which say who is logged in; null: there are none. */
  userTokens: {
    issuer: string;
    audience: string;
    keys: { jwksUrl: string } | { secrets: readonly Secret[] };
  } | null;
  /** Origins whose pages may call: `https://shop.example`, `http://localhost:*` for any port, `*` for all. */
  allowedOrigins: readonly string[];
  whatsapp: {
    /** One at most. */
    verifyTokens: readonly Secret[];
    appSecrets: readonly Secret[];
    accessToken: string | null;
    /** Empty: any. */
    phoneNumberIds: readonly string[];
    apiUrl: string;
    apiVersion: string;
    /** Sent in the place of a reply that comes when the person has not written for 24 hours; null: nothing is. */
    reopenTemplate: { name: string; language: string } | null;
  };
  /** Seconds. */
  defaultSessionTtl: number;
  sessionTtl: number;
  completedSessionTtl: number;
  turnLease: number;
  replyWait: number;
  resendAfter: number;
  /** How long a person who answers from the business's own app holds the conversation; renewed by each message. */
  humanTtl: number;
  /** Milliseconds in which a person's messages become one turn. */
  burstWindowMs: number;
  /** Messages. */
  sessionMaxMessages: number;
  retentionDays: number;
  /** Bytes. */
  maxStateBytes: number;
  maxMessageBytes: number;
  maxMetadataBytes: number;
  maxAttempts: number;
  /** Of a user, or of a device where none is named; 0: any number. */
  maxSessionsPerUser: number;
  maxSessionsPerHour: number;
  /** Messages of a device that may wait, and that it may send in a minute; of the latter 0: any number. */
  maxWaitingMessages: number;
  rateLimit: number;
  statelessFallback: boolean;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  port: number;
  dataDir: string;
  production: boolean;
  /** Everybody may call everything: no API keys, and not in production. */
  openMode: boolean;
}

export type ConfigResult = { ok: true; config: Config } | { ok: false; mistakes: string[] };

/** Pages that somebody develops on the same machine. */
const LOCAL_ORIGINS = ['http://localhost:*', 'http://127.0.0.1:*'];

/** Redis takes no more than a mebibyte of a session: a message and its metadata fit into it, half each. */
function readSizes(
  read: Reader,
  storage: Config['storage'],
): Pick<Config, 'maxStateBytes' | 'maxMessageBytes' | 'maxMetadataBytes'> {
  const most =
    storage === 'redis'
      ? { state: 1_048_576, message: 524_288, metadata: 524_288 }
      : { state: 16_777_216, message: 4_194_304, metadata: 4_194_304 };
  return {
    maxStateBytes: read.integer('MAX_STATE_BYTES', 1_048_576, 1_024, most.state),
    maxMessageBytes: read.integer('MAX_MESSAGE_BYTES', most.message, 1, most.message),
    maxMetadataBytes: read.integer(
      'MAX_METADATA_BYTES',
      Math.min(1_048_576, most.metadata),
      2,
      most.metadata,
    ),
  };
}

function requireRedis({ storage, cache }: Config, mistakes: string[]): void {
  if (storage !== 'redis' || cache !== null) return;
  mistakes.push('UPSTASH_REDIS_REST_URL must be set where STORAGE is redis.');
}

function driverFor(url: string | null): Config['databaseDriver'] {
  const host = url !== null && URL.canParse(url) ? new URL(url).hostname : '';
  return host.endsWith('.neon.tech') ? 'neon-http' : 'pg';
}

function readWhatsApp(read: Reader): Config['whatsapp'] {
  const verifyToken = read.text('WHATSAPP_VERIFY_TOKEN');
  return {
    verifyTokens: verifyToken === null ? [] : [toSecret(verifyToken)],
    appSecrets: read.list('WHATSAPP_APP_SECRET').map(toSecret),
    accessToken: read.token('WHATSAPP_ACCESS_TOKEN'),
    phoneNumberIds: read.list('WHATSAPP_PHONE_NUMBER_IDS'),
    apiUrl: (
      read.url('WHATSAPP_API_URL', ['https:', 'http:']) ?? 'https://graph.facebook.com'
    ).replace(/\/+$/, ''),
    apiVersion: read.text('WHATSAPP_API_VERSION') ?? 'v26.0',
    reopenTemplate: read.template('WHATSAPP_REOPEN_TEMPLATE'),
  };
}

/**
 * The settings of an environment, or one sentence per mistake. API.md's table of settings is the contract;
 * what later parts of it need is read where they come.
 */
export function readConfig(env: Environment = process.env): ConfigResult {
  const read = new Reader(env);
  const postgres = ['postgres:', 'postgresql:'];
  const databaseUrl = read.url(read.spelling('DATABASE_URL', 'POSTGRES_URL'), postgres);
  const upstash = read.restService('UPSTASH_REDIS_REST');
  const vercelKv = read.restService('KV_REST_API');
  const storage = read.oneOf('STORAGE', ['postgres', 'redis', 'memory'], 'postgres');
  const production = read.text('VERCEL_ENV') === 'production';
  const apiKeys = read.secrets('API_KEYS');
  const allowedOrigins = read.origins('ALLOWED_ORIGINS');
  const config: Config = {
    databaseUrl,
    directDatabaseUrl: read.url(
      read.spelling('DATABASE_URL_UNPOOLED', 'POSTGRES_URL_NON_POOLING'),
      postgres,
    ),
    databaseDriver: read.oneOf('DATABASE_DRIVER', ['neon-http', 'pg'], driverFor(databaseUrl)),
    storage,
    cache: upstash ?? vercelKv,
    cacheTimeoutMs: read.integer('CACHE_TIMEOUT_MS', 150, 1, 10_000),
    cacheTtl: read.integer('CACHE_TTL', 10, 1, 300),
    redis: {
      prefix: read.text('REDIS_KEY_PREFIX') ?? 'baton:',
      kept: read.integer('SESSION_MAX_MESSAGES_KEPT', 100, 1, 10_000),
    },
    apiKeys,
    deviceTokenSecrets: read.secrets('DEVICE_TOKEN_SECRET'),
    cronSecrets: read.secrets('CRON_SECRET'),
    deviceTokenTtl: read.integer('DEVICE_TOKEN_TTL', 2_592_000, 60, 31_536_000),
    userTokens: read.userTokens(),
    allowedOrigins: allowedOrigins.length > 0 || production ? allowedOrigins : LOCAL_ORIGINS,
    whatsapp: readWhatsApp(read),
    defaultSessionTtl: read.integer('DEFAULT_SESSION_TTL', 86_400, 1, 2_592_000),
    sessionTtl: read.integer('SESSION_TTL', 3_600, 1, 31_536_000),
    completedSessionTtl: read.integer('COMPLETED_SESSION_TTL', 86_400, 1, 31_536_000),
    turnLease: read.integer('TURN_LEASE', 60, 1, 800),
    replyWait: read.integer('REPLY_WAIT', 20, 0, 250),
    resendAfter: read.integer('RESEND_AFTER', 120, 1, 86_400),
    humanTtl: read.integer('HUMAN_TTL', 3_600, 1, 2_592_000),
    burstWindowMs: read.integer('BURST_WINDOW_MS', 0, 0, 10_000),
    sessionMaxMessages: read.integer('SESSION_MAX_MESSAGES', 20, 1, 100),
    retentionDays: read.integer('RETENTION_DAYS', 30, 0, 36_500),
    ...readSizes(read, storage),
    maxAttempts: read.integer('MAX_ATTEMPTS', 5, 1, 100),
    maxSessionsPerUser: read.integer('MAX_SESSIONS_PER_USER', 1_000, 0, 100_000),
    maxSessionsPerHour: read.integer('MAX_SESSIONS_PER_HOUR', 1_000, 0, 100_000),
    maxWaitingMessages: read.integer('MAX_WAITING_MESSAGES', 1_000, 1, 100_000),
    rateLimit: read.integer('RATE_LIMIT', 1_200, 0, 60_000),
    statelessFallback: read.oneOf('STATELESS_FALLBACK', ['true', 'false'], 'false') === 'true',
    logLevel: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    port: read.integer('PORT', 3_000, 0, 65_535),
    dataDir: read.text('DATA_DIR') ?? '.data',
    production,
    openMode: !production && apiKeys.length === 0,
  };
  requireRedis(config, read.mistakes);
  return read.mistakes.length === 0 ? { ok: true, config } : { ok: false, mistakes: read.mistakes };
}
