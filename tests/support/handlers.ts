import * as chatSessions from '../../api/chat/sessions.ts';
import * as cleanup from '../../api/cron/cleanup.ts';
import * as device from '../../api/device.ts';
import * as health from '../../api/health.ts';
import * as metrics from '../../api/metrics.ts';
import * as lock from '../../api/lock.ts';
import * as state from '../../api/state.ts';
import * as turn from '../../api/turn.ts';
import * as web from '../../api/webhooks/web.ts';
import * as whatsapp from '../../api/webhooks/whatsapp.ts';

const functions: ReadonlyMap<string, typeof health> = new Map([
  ['/api/chat/sessions', chatSessions],
  ['/api/cron/cleanup', cleanup],
  ['/api/device', device],
  ['/api/lock', lock],
  ['/api/metrics', metrics],
  ['/api/state', state],
  ['/api/turn', turn],
  ['/api/webhooks/web', web],
  ['/api/webhooks/whatsapp', whatsapp],
]);

/** Calls the function of a route: the export named like the method, else GET, which refuses it. */
export function callHandler(request: Request): Promise<Response> {
  // vercel.json sends every path below some functions to them, and any other without one of its own to health
  const path = new URL(request.url).pathname
    .replace('/api/chat/stats', '/api/metrics')
    .replace(/^\/api\/chat\/users\/.*/, '/api/chat/sessions')
    .replace(/^(\/api\/(chat\/sessions|device))\/.*/, '$1');
  const handlers = functions.get(path) ?? health;
  const named = Object.entries(handlers).find(([name]) => name === request.method);
  return (named?.[1] ?? handlers.GET)(request);
}
