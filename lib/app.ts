import { waitUntil } from '@vercel/functions';
import { type AddressBound, boundAddresses } from './access/addresses.ts';
import { createRegistry, agents, type Registry } from './agents/registry.ts';
import type { Channel } from './channels/channel.ts';
import { type Config, readConfig } from './config.ts';
import { count, createCountWriter } from './counters.ts';
import { BatonError } from './errors.ts';
import type { Frame } from './frame.ts';
import type { PingCache } from './health.ts';
import { describeError, log, setLogLevel } from './log.ts';
import type { RateLimiter } from './rate-limit.ts';
import type { Breaker } from './storage/breaker.ts';
import type { CacheEvent } from './storage/cache/cache.ts';
import type { StorageLimits } from './storage/limits.ts';
import type { Storage } from './storage/storage.ts';
import type { TurnServices } from './turn.ts';

/** Everything a request needs, put together once per instance. */
export interface App {
  config: Config;
  storage: Storage;
  /** The same, which asks the database itself: for whoever wants no answer from the cache. */
  fresh: Storage;
  /** null: there is no cache. */
  pingCache: PingCache | null;
  registry: Registry;
  channelOf(name: string): Channel | null;
  /** Counts messages before they reach the storage; null: the storage counts. */
  limiter: RateLimiter | null;
  /** Picks up what was let fall; any request may ask for it. */
  sweep(frame: Frame): Promise<void>;
  /** Stores what was counted here; any request may ask for it. */
  writeCounts(): Promise<void>;
  /** Devices that one address may register. */
  newcomers: AddressBound;
  close(): Promise<void>;
}

/** Devices that an address may register with one instance in 30 seconds: an office behind one address has some. */
const NEWCOMERS = 50;

/** The composition root: the one place that knows which implementations are used. */
export async function createApp(
  config: Config,
  parts: Partial<Pick<App, 'storage' | 'registry' | 'channelOf' | 'sweep' | 'writeCounts'>> = {},
): Promise<App> {
  setLogLevel(config.logLevel);
  if (config.openMode) {
    log('warn', 'open_mode', {
      detail: 'API_KEYS is not set: every route but the webhook and the cron is open to everybody',
    });
  }
  const opened =
    parts.storage === undefined
      ? await openStorage(config)
      : alone({ storage: parts.storage, close: () => Promise.resolve() });
  const channels = await openChannels(config);
  const services = {
    config,
    storage: opened.storage,
    registry: parts.registry ?? createRegistry(agents),
    channelOf: parts.channelOf ?? ((name: string) => channels.get(name) ?? null),
    limiter: await openLimiter(config, opened.breaker),
  };
  return {
    ...services,
    fresh: opened.fresh,
    pingCache: opened.pingCache,
    sweep: parts.sweep ?? sweepLater(services),
    writeCounts: parts.writeCounts ?? createCountWriter(services.storage),
    newcomers: boundAddresses(NEWCOMERS, 30_000),
    close: opened.close,
  };
}

// Loaded at the first request, as the driver is, and the sweep behind its answer: a cold start pays a quarter of a
// millisecond for every schema.

async function openChannels(config: Config): Promise<ReadonlyMap<string, Channel>> {
  const [{ WHATSAPP }, { createWhatsAppChannel }, { createMediaFetcher }] = await Promise.all([
    import('./channels/whatsapp/parse.ts'),
    import('./channels/whatsapp/send.ts'),
    import('./channels/whatsapp/media.ts'),
  ]);
  const fetchMedia = createMediaFetcher(config.whatsapp);
  return new Map([[WHATSAPP, { ...createWhatsAppChannel(config), fetchMedia }]]);
}

function sweepLater(services: TurnServices): App['sweep'] {
  let sweeper: Promise<App['sweep']> | null = null;
  return async (frame) => {
    sweeper ??= import('./sweep.ts').then(({ createSweeper }) => createSweeper(services));
    const sweep = await sweeper;
    await sweep(frame);
  };
}

interface Opened extends Pick<App, 'storage' | 'fresh' | 'pingCache' | 'close'> {
  /** Keeps callers away from a cache that does not answer; null: there is no cache. */
  breaker: Breaker | null;
}

/** A storage without a cache. */
const alone = (opened: Pick<Opened, 'storage' | 'close'>): Opened => ({
  ...opened,
  fresh: opened.storage,
  pingCache: null,
  breaker: null,
});

/** Loads only the driver that is used, and the cache where there is one: a cold start feels each of them. */
async function openStorage(config: Config): Promise<Opened> {
  if (config.storage === 'memory') {
    log('warn', 'storage_forgets', {
      detail:
        'STORAGE=memory: everything is forgotten when this process ends, and no other sees it',
    });
    const { createMemoryStorage } = await import('./storage/memory/memory-storage.ts');
    return alone({
      storage: createMemoryStorage(limitsOf(config)),
      close: () => Promise.resolve(),
    });
  }
  if (config.storage === 'redis' && config.cache !== null) {
    const { openRedis } = await import('./storage/redis/redis-storage.ts');
    const storage = openRedis(config.cache, { ...config.redis, limits: limitsOf(config) });
    return alone({ storage, close: () => Promise.resolve() });
  }
  if (config.databaseUrl === null) {
    throw new BatonError(
      'not_configured',
      'Set DATABASE_URL; only npm run dev and the tests bring a database of their own',
    );
  }
  const postgres = await openPostgres(config, config.databaseUrl);
  if (config.cache === null) return alone(postgres);
  const { openCache } = await import('./storage/cache/open-cache.ts');
  const { storage, fresh, ping, breaker } = openCache(
    postgres.storage,
    {
      ...config.cache,
      timeoutMs: config.cacheTimeoutMs,
      ttlMs: config.cacheTtl * 1_000,
      of: config.databaseUrl,
    },
    { later: waitUntil, notice: noticeCache },
  );
  return { storage, fresh, pingCache: ping, breaker, close: postgres.close };
}

async function openPostgres(
  config: Config,
  url: string,
): Promise<Pick<Opened, 'storage' | 'close'>> {
  const limits = limitsOf(config);
  if (config.databaseDriver === 'neon-http') {
    const { openNeon } = await import('./storage/postgres/neon.ts');
    return openNeon(url, limits);
  }
  const { openPg } = await import('./storage/postgres/pg.ts');
  return openPg(url, limits);
}

/** Reads are counted; that it goes and is back is logged, once each: callers see nothing of it. */
function noticeCache(event: CacheEvent, error: unknown): void {
  if (event !== 'back') count('cache', event);
  // what fetch failed of stands in its cause
  const reason = error instanceof Error ? (error.cause ?? error) : error;
  if (event === 'unreachable') log('warn', 'cache_unreachable', describeError(reason));
  if (event === 'back') log('info', 'cache_back');
}

/** Where there is a cache, it counts what devices send; one that is the storage does so as it takes each message. */
async function openLimiter(
  { cache, cacheTimeoutMs: timeoutMs, rateLimit }: Config,
  breaker: Breaker | null,
): Promise<RateLimiter | null> {
  if (cache === null || rateLimit === 0 || breaker === null) return null;
  const { createRedisLimiter } = await import('./storage/redis/rate-limiter.ts');
  return createRedisLimiter({ ...cache, timeoutMs }, rateLimit, breaker);
}

/** What a storage has to know of the settings. */
export function limitsOf(config: Config): StorageLimits {
  return {
    history: config.sessionMaxMessages,
    maxAttempts: config.maxAttempts,
    resendAfterMs: config.resendAfter * 1_000,
    sessionTtl: config.sessionTtl,
    completedTtl: config.completedSessionTtl,
    maxStateBytes: config.maxStateBytes,
    retentionDays: config.retentionDays,
  };
}

let current: Promise<App> | null = null;

/**
 * This instance's app, made at the first request.
 *
 * @throws {BatonError} `not_configured` when a setting is wrong; the mistakes stand in the log, and are looked for
 *   again at the next request
 */
export async function currentApp(): Promise<App> {
  if (current !== null) return current;
  const opening = openApp();
  current = opening;
  try {
    return await opening;
  } catch (error) {
    // a promise that failed must not stay for the life of the instance
    if (current === opening) current = null;
    throw error;
  }
}

async function openApp(): Promise<App> {
  const result = readConfig();
  if (!result.ok) {
    log('error', 'not_configured', { mistakes: result.mistakes });
    throw new BatonError(
      'not_configured',
      'A setting of this deployment is wrong; see its log for which',
    );
  }
  return createApp(result.config);
}

/** This instance's app, if it has one yet. */
export async function openedApp(): Promise<App | null> {
  return current?.catch(() => null) ?? null;
}

/** Puts another app in the place of this instance's, as tests do. */
export function useApp(app: App | null): void {
  current = app === null ? null : Promise.resolve(app);
}
