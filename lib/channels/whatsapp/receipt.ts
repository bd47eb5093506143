import type { JsonObject } from '../../json.ts';
import { describeError, log } from '../../log.ts';
import type { Channel } from '../channel.ts';
import { readBody } from './compose.ts';

/** Milliseconds for one call; a receipt that comes later says nothing any more. */
const TIMEOUT = 5_000;
/** Calls of one instance at a time; where Meta does not answer them, hundreds would pile up. */
const MOST = 16;
/** WhatsApp shows that somebody is typing for 25 seconds. */
const RENEWED_AFTER = 20_000;

/** Posts a body to a number's messages. */
type Post = (account: string, body: JsonObject, signal: AbortSignal) => Promise<{ status: number }>;

/**
 * Read receipt and typing indicator, for the newest of the messages; WhatsApp marks the ones before it by itself.
 * Nothing waits for it and nothing depends on it.
 */
export function createReceipts(post: Post): Channel['attend'] {
  let underWay = 0;
  return ({ device, account, messages }) => {
    const newest = messages.findLast(({ messageId }) => messageId?.startsWith('wamid.'))?.messageId;
    if (newest == null) return () => {};
    const show = async (): Promise<void> => {
      if (underWay >= MOST) return;
      underWay++;
      try {
        const { status } = await post(account, readBody(newest), AbortSignal.timeout(TIMEOUT));
        if (status !== 200) log('debug', 'receipt_refused', { device_id: device, status });
      } catch (error) {
        log('debug', 'receipt_failed', { device_id: device, ...describeError(error) });
      } finally {
        underWay--;
      }
    };
    void show();
    const timer = setInterval(() => void show(), RENEWED_AFTER);
    timer.unref();
    return () => clearInterval(timer);
  };
}
