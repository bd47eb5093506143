import { describe, expect, it } from 'vitest';
import { type Config, readConfig } from '../../lib/config.ts';
import { configOf, mistakesOf } from '../support/settings.ts';

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
