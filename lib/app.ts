import { createRegistry, agents, type Registry } from './agents/registry.ts';
import type { Channel } from './channels/channel.ts';
import { WHATSAPP } from './channels/whatsapp/parse.ts';
import { createWhatsAppChannel } from './channels/whatsapp/send.ts';
import { type Config, readConfig } from './config.ts';
import { BatonError } from './errors.ts';
import { log, setLogLevel } from './log.ts';
import type { StorageLimits } from './storage/limits.ts';
import { openNeon } from './storage/postgres/neon.ts';
import { openPg } from './storage/postgres/pg.ts';
import type { Storage } from './storage/storage.ts';
import { createSweeper } from './sweep.ts';
import type { Frame } from './turn.ts';

/** Everything a request needs, put together once per instance. */
export interface App {
  config: Config;
  storage: Storage;
  registry: Registry;
  channelOf(name: string): Channel | null;
  /** Picks up what was let fall; any request may ask for it. */
  sweep(frame: Frame): Promise<void>;
  close(): Promise<void>;
}

/** The composition root: the one place that knows which implementations are used. */
export function createApp(
  config: Config,
  parts: Partial<Pick<App, 'storage' | 'registry' | 'channelOf' | 'sweep'>> = {},
): App {
  setLogLevel(config.logLevel);
  if (!config.production && config.apiKeys.length === 0) {
    log('warn', 'open_mode', {
      detail: 'API_KEYS is not set: every route but the webhook and the cron is open to everybody',
    });
  }
  const opened =
    parts.storage === undefined
      ? openStorage(config)
      : { storage: parts.storage, close: () => Promise.resolve() };
  const channels = new Map([[WHATSAPP, createWhatsAppChannel(config.whatsapp)]]);
  const services = {
    config,
    storage: opened.storage,
    registry: parts.registry ?? createRegistry(agents),
    channelOf: parts.channelOf ?? ((name: string) => channels.get(name) ?? null),
  };
  return { ...services, sweep: parts.sweep ?? createSweeper(services), close: opened.close };
}

function openStorage(config: Config): { storage: Storage; close(): Promise<void> } {
  if (config.databaseUrl === null) {
    throw new BatonError(
      'not_configured',
      'DATABASE_URL is not set; only npm run dev and the tests bring a database of their own',
    );
  }
  const open = config.databaseDriver === 'neon-http' ? openNeon : openPg;
  return open(config.databaseUrl, limitsOf(config));
}

function limitsOf(config: Config): StorageLimits {
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

let current: App | null = null;

/**
 * This instance's app, made at the first request.
 *
 * @throws {BatonError} `not_configured` when a setting is wrong; the mistakes stand in the log, and are looked for
 *   again at the next request
 */
export function currentApp(): App {
  if (current !== null) return current;
  const result = readConfig();
  if (!result.ok) {
    log('error', 'not_configured', { mistakes: result.mistakes });
    throw new BatonError(
      'not_configured',
      'A setting of this deployment is wrong; its log says which',
    );
  }
  current = createApp(result.config);
  return current;
}

/** Puts another app in the place of this instance's, as tests do. */
export function useApp(app: App | null): void {
  current = app;
}
