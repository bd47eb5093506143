/** Every setting, parsed and checked; the one place that reads the environment. */
export interface Config {
  databaseUrl: string | null;
  /** Neon over HTTP for any host of theirs, `pg` over TCP for every other, unless DATABASE_DRIVER says. */
  databaseDriver: 'neon-http' | 'pg';
  storage: 'postgres';
  apiKeys: readonly string[];
  deviceTokenSecrets: readonly string[];
  cronSecrets: readonly string[];
  whatsapp: {
    verifyToken: string | null;
    appSecrets: readonly string[];
    accessToken: string | null;
    /** Empty: any. */
    phoneNumberIds: readonly string[];
    apiUrl: string;
    apiVersion: string;
  };
  /** Seconds. */
  defaultSessionTtl: number;
  sessionTtl: number;
  completedSessionTtl: number;
  turnLease: number;
  replyWait: number;
  resendAfter: number;
  /** Messages. */
  sessionMaxMessages: number;
  retentionDays: number;
  /** Bytes. */
  maxStateBytes: number;
  maxAttempts: number;
  statelessFallback: boolean;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  port: number;
  dataDir: string;
  /** Closes open mode. */
  production: boolean;
}

export type ConfigResult = { ok: true; config: Config } | { ok: false; mistakes: string[] };

type Environment = Readonly<Record<string, string | undefined>>;

const SECRET_LENGTH = 32;

/** Reads one variable after the other and collects a sentence per mistake, so that all are seen at once. */
class Reader {
  readonly mistakes: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** An empty variable is an unset one: that is how hosting panels clear it. */
  text(name: string): string | null {
    const value = this.#env[name]?.trim();
    return value === undefined || value === '' ? null : value;
  }

  list(name: string): string[] {
    const items = (this.text(name) ?? '').split(',').map((item) => item.trim());
    return items.filter((item) => item !== '');
  }

  secrets(name: string): string[] {
    const secrets = this.list(name);
    if (secrets.some((secret) => secret.length < SECRET_LENGTH)) {
      this.mistakes.push(
        `${name} must be at least ${SECRET_LENGTH} characters long, each entry of the list.`,
      );
    }
    return secrets;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    this.mistakes.push(`${name} must be a whole number from ${min} to ${max}.`);
    return fallback;
  }

  oneOf<const Option extends string>(
    name: string,
    options: readonly Option[],
    fallback: Option,
  ): Option {
    const text = this.text(name);
    if (text === null) return fallback;
    const found = options.find((option) => option === text.toLowerCase());
    if (found === undefined) this.mistakes.push(`${name} must be one of: ${options.join(', ')}.`);
    return found ?? fallback;
  }

  url(name: string, protocols: readonly string[]): string | null {
    const text = this.text(name);
    if (text === null) return null;
    if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
      this.mistakes.push(
        `${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}.`,
      );
    }
    return text;
  }
}

function driverFor(url: string | null): Config['databaseDriver'] {
  const host = url !== null && URL.canParse(url) ? new URL(url).hostname : '';
  return host.endsWith('.neon.tech') ? 'neon-http' : 'pg';
}

/**
 * The settings of an environment, or one sentence per mistake. API.md's table of settings is the contract;
 * what later parts of it need is read where they come.
 */
export function readConfig(env: Environment = process.env): ConfigResult {
  const read = new Reader(env);
  const databaseUrl = read.url('DATABASE_URL', ['postgres:', 'postgresql:']);
  const config: Config = {
    databaseUrl,
    databaseDriver: read.oneOf('DATABASE_DRIVER', ['neon-http', 'pg'], driverFor(databaseUrl)),
    storage: read.oneOf('STORAGE', ['postgres'], 'postgres'),
    apiKeys: read.secrets('API_KEYS'),
    deviceTokenSecrets: read.secrets('DEVICE_TOKEN_SECRET'),
    cronSecrets: read.secrets('CRON_SECRET'),
    whatsapp: {
      verifyToken: read.text('WHATSAPP_VERIFY_TOKEN'),
      appSecrets: read.list('WHATSAPP_APP_SECRET'),
      accessToken: read.text('WHATSAPP_ACCESS_TOKEN'),
      phoneNumberIds: read.list('WHATSAPP_PHONE_NUMBER_IDS'),
      apiUrl: (
        read.url('WHATSAPP_API_URL', ['https:', 'http:']) ?? 'https://graph.facebook.com'
      ).replace(/\/+$/, ''),
      apiVersion: read.text('WHATSAPP_API_VERSION') ?? 'v26.0',
    },
    defaultSessionTtl: read.integer('DEFAULT_SESSION_TTL', 86_400, 1, 2_592_000),
    sessionTtl: read.integer('SESSION_TTL', 3_600, 1, 31_536_000),
    completedSessionTtl: read.integer('COMPLETED_SESSION_TTL', 86_400, 1, 31_536_000),
    turnLease: read.integer('TURN_LEASE', 60, 1, 800),
    replyWait: read.integer('REPLY_WAIT', 20, 0, 250),
    resendAfter: read.integer('RESEND_AFTER', 120, 1, 86_400),
    sessionMaxMessages: read.integer('SESSION_MAX_MESSAGES', 20, 1, 100),
    retentionDays: read.integer('RETENTION_DAYS', 30, 0, 36_500),
    maxStateBytes: read.integer('MAX_STATE_BYTES', 1_048_576, 1_024, 16_777_216),
    maxAttempts: read.integer('MAX_ATTEMPTS', 5, 1, 100),
    statelessFallback: read.oneOf('STATELESS_FALLBACK', ['true', 'false'], 'false') === 'true',
    logLevel: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    port: read.integer('PORT', 3_000, 0, 65_535),
    dataDir: read.text('DATA_DIR') ?? '.data',
    production: read.text('VERCEL_ENV') === 'production',
  };
  return read.mistakes.length === 0 ? { ok: true, config } : { ok: false, mistakes: read.mistakes };
}
