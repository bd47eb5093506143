import { describe, expect, it } from 'vitest';
import { type Config, readConfig } from '../../lib/config.ts';

type Environment = Record<string, string>;

function configOf(env: Environment): Config {
  const result = readConfig(env);
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

function mistakesOf(env: Environment): string[] {
  const result = readConfig(env);
  return result.ok ? [] : result.mistakes;
}

const long = (letter: string) => letter.repeat(32);

const integers: {
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

const secrets: { name: string; of: (config: Config) => readonly string[] }[] = [
  { name: 'API_KEYS', of: (c) => c.apiKeys },
  { name: 'DEVICE_TOKEN_SECRET', of: (c) => c.deviceTokenSecrets },
  { name: 'CRON_SECRET', of: (c) => c.cronSecrets },
];

const texts: {
  name: string;
  of: (config: Config) => string | null;
  fallback: string | null;
  good: string;
}[] = [
  {
    name: 'WHATSAPP_VERIFY_TOKEN',
    of: (c) => c.whatsapp.verifyToken,
    fallback: null,
    good: 'a token',
  },
  {
    name: 'WHATSAPP_ACCESS_TOKEN',
    of: (c) => c.whatsapp.accessToken,
    fallback: null,
    good: 'EAAG',
  },
  {
    name: 'WHATSAPP_API_VERSION',
    of: (c) => c.whatsapp.apiVersion,
    fallback: 'v26.0',
    good: 'v27.0',
  },
  {
    name: 'REDIS_KEY_PREFIX',
    of: (c) => c.redis.prefix,
    fallback: 'baton:',
    good: 'shop:',
  },
  { name: 'DATA_DIR', of: (c) => c.dataDir, fallback: '.data', good: '/var/lib/baton' },
];

/** Every variable that can be wrong, with a wrong value. */
const wrong: Environment = {
  DATABASE_URL: 'mysql://somebody:hunter2@db.example/baton',
  STORAGE: 'floppy',
  API_KEYS: 'hunter2',
  DEVICE_TOKEN_SECRET: 'hunter2',
  CRON_SECRET: 'hunter2',
  ALLOWED_ORIGINS: 'hunter2',
  WHATSAPP_ACCESS_TOKEN: 'hunter2 hunter2',
  WHATSAPP_API_URL: 'graph.facebook.com',
  WHATSAPP_REOPEN_TEMPLATE: 'hunter2:English',
  STATELESS_FALLBACK: 'perhaps',
  LOG_LEVEL: 'loud',
  ...Object.fromEntries(integers.map(({ name }) => [name, 'many'])),
};

describe('readConfig', () => {
  it('gives the defaults of the contract where nothing is set', () => {
    expect(readConfig({})).toEqual({
      ok: true,
      config: {
        databaseUrl: null,
        directDatabaseUrl: null,
        databaseDriver: 'pg',
        storage: 'postgres',
        cache: null,
        cacheTimeoutMs: 150,
        cacheTtl: 10,
        redis: { prefix: 'baton:', kept: 100 },
        apiKeys: [],
        deviceTokenSecrets: [],
        cronSecrets: [],
        deviceTokenTtl: 2_592_000,
        userTokens: null,
        allowedOrigins: ['http://localhost:*', 'http://127.0.0.1:*'],
        whatsapp: {
          verifyToken: null,
          appSecrets: [],
          accessToken: null,
          phoneNumberIds: [],
          apiUrl: 'https://graph.facebook.com',
          apiVersion: 'v26.0',
          reopenTemplate: null,
        },
        defaultSessionTtl: 86_400,
        sessionTtl: 3_600,
        completedSessionTtl: 86_400,
        turnLease: 60,
        replyWait: 20,
        resendAfter: 120,
        humanTtl: 3_600,
        burstWindowMs: 0,
        sessionMaxMessages: 20,
        retentionDays: 30,
        maxStateBytes: 1_048_576,
        maxMessageBytes: 4_194_304,
        maxMetadataBytes: 1_048_576,
        maxSessionsPerUser: 1_000,
        maxSessionsPerHour: 1_000,
        maxWaitingMessages: 1_000,
        rateLimit: 1_200,
        maxAttempts: 5,
        statelessFallback: false,
        logLevel: 'info',
        port: 3_000,
        dataDir: '.data',
        production: false,
        openMode: true,
      },
    });
  });

  it('takes an empty or blank variable for an unset one', () => {
    const names = [
      ...Object.keys(wrong),
      ...texts.map(({ name }) => name),
      'WHATSAPP_PHONE_NUMBER_IDS',
      'WHATSAPP_APP_SECRET',
      'VERCEL_ENV',
    ];
    for (const blank of ['', '  \t ']) {
      expect(readConfig(Object.fromEntries(names.map((name) => [name, blank])))).toEqual(
        readConfig({}),
      );
    }
  });

  it('names every variable that is wrong at once, each in one sentence', () => {
    const mistakes = mistakesOf(wrong);
    expect(mistakes).toHaveLength(Object.keys(wrong).length);
    for (const name of Object.keys(wrong)) {
      expect(mistakes.filter((sentence) => sentence.startsWith(`${name} `))).toHaveLength(1);
    }
    for (const sentence of mistakes) expect(sentence).toMatch(/^[A-Z_]+ must be [^\n]+\.$/);
  });

  it('repeats no value: it may be a secret in the wrong place', () => {
    expect(mistakesOf(wrong).join('\n')).not.toMatch(/hunter2|somebody|floppy|perhaps|loud|many/);
  });

  it('cuts blanks around a value', () => {
    expect(configOf({ PORT: ' 8080 ', LOG_LEVEL: ' warn\n', DATA_DIR: ' here ' })).toMatchObject({
      port: 8_080,
      logLevel: 'warn',
      dataDir: 'here',
    });
  });
});

describe.each(integers)('$name', ({ name, of, fallback, min, max }) => {
  it(`is ${fallback} unless set`, () => {
    expect(of(configOf({}))).toBe(fallback);
  });

  it(`takes whole numbers from ${min} to ${max}`, () => {
    expect(of(configOf({ [name]: String(min) }))).toBe(min);
    expect(of(configOf({ [name]: String(max) }))).toBe(max);
  });

  it.each([
    String(min - 1),
    String(max + 1),
    '1.5',
    '1e2',
    '0x10',
    '12s',
    'Infinity',
    'NaN',
    '१२',
    '99999999999999999999',
  ])('refuses %s and says what it may be', (value) => {
    expect(mistakesOf({ [name]: value })).toEqual([
      `${name} must be a whole number from ${min} to ${max}.`,
    ]);
  });
});

describe.each(secrets)('$name', ({ name, of }) => {
  it('is a list, blanks and empty entries left out', () => {
    expect(of(configOf({ [name]: long('a') }))).toEqual([long('a')]);
    expect(of(configOf({ [name]: ` ${long('a')} ,, ${long('b')}, ` }))).toEqual([
      long('a'),
      long('b'),
    ]);
  });

  it('refuses an entry of 31 characters, alone or beside a good one', () => {
    const sentence = `${name} must be at least 32 characters long, each entry of the list.`;
    expect(mistakesOf({ [name]: 'a'.repeat(31) })).toEqual([sentence]);
    expect(mistakesOf({ [name]: `${long('a')},${'b'.repeat(31)}` })).toEqual([sentence]);
  });
});

describe.each(texts)('$name', ({ name, of, fallback, good }) => {
  it(`is ${fallback ?? 'nothing'} unless set, and then what is set`, () => {
    expect(of(configOf({}))).toBe(fallback);
    expect(of(configOf({ [name]: good }))).toBe(good);
  });
});

describe('DATABASE_URL', () => {
  it.each([
    'postgres://u:p@localhost:5432/baton',
    'postgresql://u@db.example/baton?sslmode=require',
  ])('may be %s', (url) => {
    expect(configOf({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it.each([
    'mysql://u@db.example/baton',
    'https://db.example',
    'db.example:5432',
    'postgres//db.example',
  ])('may not be %s', (url) => {
    expect(mistakesOf({ DATABASE_URL: url })).toEqual([
      'DATABASE_URL must be a URL that starts with postgres:// or postgresql://.',
    ]);
  });
});

describe('the spellings of hosting panels', () => {
  const postgres = (host: string) => `postgres://u:p@${host}/baton`;

  it.each([
    ['POSTGRES_URL', 'DATABASE_URL', (config: Config) => config.databaseUrl],
    [
      'POSTGRES_URL_NON_POOLING',
      'DATABASE_URL_UNPOOLED',
      (config: Config) => config.directDatabaseUrl,
    ],
  ] as const)('%s stands in for %s, which goes first', (theirs, ours, of) => {
    expect(of(configOf({ [theirs]: postgres('theirs') }))).toBe(postgres('theirs'));
    expect(of(configOf({ [theirs]: postgres('theirs'), [ours]: ' ' }))).toBe(postgres('theirs'));
    expect(of(configOf({ [theirs]: postgres('theirs'), [ours]: postgres('ours') }))).toBe(
      postgres('ours'),
    );
    expect(mistakesOf({ [theirs]: 'mysql://db' })).toEqual([
      `${theirs} must be a URL that starts with postgres:// or postgresql://.`,
    ]);
  });

  it('choose the driver as well', () => {
    expect(configOf({ POSTGRES_URL: postgres('ep-a-1.aws.neon.tech') }).databaseDriver).toBe(
      'neon-http',
    );
  });
});

describe('everything in Redis', () => {
  const redis = {
    STORAGE: 'redis',
    UPSTASH_REDIS_REST_URL: 'https://redis.example',
    UPSTASH_REDIS_REST_TOKEN: 'token',
  };

  it('needs to be told where that is', () => {
    expect(mistakesOf({ STORAGE: 'redis' })).toEqual([
      'UPSTASH_REDIS_REST_URL must be set where STORAGE is redis.',
    ]);
  });

  it('takes a mebibyte of a session: a message and its metadata are half of it each', () => {
    expect(configOf(redis)).toMatchObject({
      maxMessageBytes: 524_288,
      maxMetadataBytes: 524_288,
      maxStateBytes: 1_048_576,
    });
    const larger = {
      MAX_MESSAGE_BYTES: '524289',
      MAX_METADATA_BYTES: '524289',
      MAX_STATE_BYTES: '1048577',
    };
    expect(mistakesOf({ ...redis, ...larger })).toHaveLength(3);
    expect(mistakesOf(larger)).toEqual([]);
  });
});

describe('the cache', () => {
  const pair = (prefix: string, url: string) => ({
    [`${prefix}_URL`]: url,
    [`${prefix}_TOKEN`]: 'token',
  });

  it.each(['UPSTASH_REDIS_REST', 'KV_REST_API'])('is the pair of %s', (prefix) => {
    expect(configOf(pair(prefix, 'https://cache.example')).cache).toEqual({
      url: 'https://cache.example',
      token: 'token',
    });
  });

  it('is the one of Upstash where both are set', () => {
    const both = {
      ...pair('KV_REST_API', 'https://kv'),
      ...pair('UPSTASH_REDIS_REST', 'https://up'),
    };
    expect(configOf(both).cache?.url).toBe('https://up');
  });

  it.each([
    ['UPSTASH_REDIS_REST_URL', 'https://cache.example', 'UPSTASH_REDIS_REST_TOKEN'],
    ['UPSTASH_REDIS_REST_TOKEN', 'token', 'UPSTASH_REDIS_REST_URL'],
    ['KV_REST_API_URL', 'https://cache.example', 'KV_REST_API_TOKEN'],
    ['KV_REST_API_TOKEN', 'token', 'KV_REST_API_URL'],
  ])('%s alone is a mistake that names the other', (name, value, other) => {
    expect(mistakesOf({ [name]: value })).toEqual([`${other} must be set where ${name} is.`]);
  });

  it('is at a URL of the web', () => {
    expect(mistakesOf(pair('KV_REST_API', 'redis://cache.example:6379'))).toEqual([
      'KV_REST_API_URL must be a URL that starts with https:// or http://.',
    ]);
  });
});

describe('STORAGE', () => {
  it('may be postgres, in any letter case', () => {
    expect(configOf({ STORAGE: 'Postgres' }).storage).toBe('postgres');
  });

  it('may be redis, where it is said which', () => {
    const settings = { STORAGE: 'redis', KV_REST_API_URL: 'https://r.example' };
    expect(configOf({ ...settings, KV_REST_API_TOKEN: 'token' }).storage).toBe('redis');
    expect(mistakesOf({ STORAGE: 'redis' })).toEqual([
      'UPSTASH_REDIS_REST_URL must be set where STORAGE is redis.',
    ]);
  });

  it('names what it may be', () => {
    expect(mistakesOf({ STORAGE: 'sqlite' })).toEqual([
      expect.stringMatching(/^STORAGE must be one of: .*postgres/),
    ]);
  });
});

describe('WHATSAPP_API_URL', () => {
  it('loses slashes at its end, so that a path can follow', () => {
    expect(configOf({ WHATSAPP_API_URL: 'http://localhost:4000//' }).whatsapp.apiUrl).toBe(
      'http://localhost:4000',
    );
  });

  it.each(['graph.facebook.com', 'ftp://graph.facebook.com', '/v26.0'])('may not be %s', (url) => {
    expect(mistakesOf({ WHATSAPP_API_URL: url })).toEqual([
      'WHATSAPP_API_URL must be a URL that starts with https:// or http://.',
    ]);
  });
});

describe('WHATSAPP_ACCESS_TOKEN', () => {
  it.each(['EAAG EAAG', 'EAAG\nEAAG', 'EAAGé'])('may not be %j', (token) => {
    expect(mistakesOf({ WHATSAPP_ACCESS_TOKEN: token })).toEqual([
      'WHATSAPP_ACCESS_TOKEN must be the token alone, without spaces or line breaks.',
    ]);
  });
});

describe('WHATSAPP_REOPEN_TEMPLATE', () => {
  it.each([
    ['reopen_chat', 'reopen_chat', 'en_US'],
    ['reopen_chat:de', 'reopen_chat', 'de'],
    ['reopen_2:pt_BR', 'reopen_2', 'pt_BR'],
  ])('%s is a name and a language', (text, name, language) => {
    const { whatsapp } = configOf({ WHATSAPP_REOPEN_TEMPLATE: text });
    expect(whatsapp.reopenTemplate).toEqual({ name, language });
  });

  it.each(['Reopen chat', 'reopen_chat:', 'reopen_chat:English', ':en', 'a:en:US', 'a-b'])(
    'may not be %s',
    (text) => {
      expect(mistakesOf({ WHATSAPP_REOPEN_TEMPLATE: text })).toEqual([
        'WHATSAPP_REOPEN_TEMPLATE must be the name of a template and its language, such as reopen_chat:en_US.',
      ]);
    },
  );
});

describe('lists of WhatsApp', () => {
  it('hold the numbers and the app secrets that are set', () => {
    const { whatsapp } = configOf({
      WHATSAPP_PHONE_NUMBER_IDS: '200000000000001, 200000000000002,',
      WHATSAPP_APP_SECRET: 'new,old',
    });
    expect(whatsapp.phoneNumberIds).toEqual(['200000000000001', '200000000000002']);
    expect(whatsapp.appSecrets).toEqual(['new', 'old']);
  });
});

describe('STATELESS_FALLBACK', () => {
  it.each([
    ['true', true],
    ['TRUE', true],
    ['false', false],
  ])('%s means %s', (value, expected) => {
    expect(configOf({ STATELESS_FALLBACK: value }).statelessFallback).toBe(expected);
  });

  it.each(['yes', '1', 'on'])('refuses %s rather than guess', (value) => {
    expect(mistakesOf({ STATELESS_FALLBACK: value })).toEqual([
      'STATELESS_FALLBACK must be one of: true, false.',
    ]);
  });
});

describe('LOG_LEVEL', () => {
  it.each(['debug', 'info', 'warn', 'error'])('may be %s', (level) => {
    expect(configOf({ LOG_LEVEL: level }).logLevel).toBe(level);
  });

  it('names what it may be', () => {
    expect(mistakesOf({ LOG_LEVEL: 'verbose' })).toEqual([
      'LOG_LEVEL must be one of: debug, info, warn, error.',
    ]);
  });
});

describe('VERCEL_ENV', () => {
  it.each([
    ['production', true],
    ['preview', false],
    ['development', false],
  ])('%s closes open mode: %s', (value, expected) => {
    expect(configOf({ VERCEL_ENV: value }).production).toBe(expected);
  });
});

describe('DATABASE_DRIVER', () => {
  it.each([
    ['postgres://u:p@ep-cool-darkness-1.eu-central-1.aws.neon.tech/db', 'neon-http'],
    ['postgres://u:p@ep-cool-darkness-1-pooler.us-east-2.aws.neon.tech:5432/db', 'neon-http'],
    ['postgres://u:p@neon.tech.example/db', 'pg'],
    ['postgres://u:p@127.0.0.1:5432/db', 'pg'],
  ])('is chosen by the host: %s', (url, driver) => {
    expect(configOf({ DATABASE_URL: url }).databaseDriver).toBe(driver);
  });

  it('says otherwise where it is set', () => {
    const neon = 'postgres://u:p@ep-cool-darkness-1.eu-central-1.aws.neon.tech/db';
    expect(configOf({ DATABASE_URL: neon, DATABASE_DRIVER: 'pg' }).databaseDriver).toBe('pg');
    const own = 'postgres://u:p@db.example/db';
    expect(configOf({ DATABASE_URL: own, DATABASE_DRIVER: 'neon-http' }).databaseDriver).toBe(
      'neon-http',
    );
  });

  it('is neon-http or pg', () => {
    const result = readConfig({ DATABASE_DRIVER: 'mysql' });
    expect(!result.ok && result.mistakes).toEqual([expect.stringContaining('DATABASE_DRIVER')]);
  });
});
