import { describe, expect, it } from 'vitest';
import { type Config, readConfig } from '../../lib/config.ts';
import type { Secret } from '../../lib/secrets.ts';
import { configOf, type Environment, integers, mistakesOf } from '../support/settings.ts';

const long = (letter: string) => letter.repeat(32);

const secrets: { name: string; of: (config: Config) => readonly Secret[] }[] = [
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
          verifyTokens: [],
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
