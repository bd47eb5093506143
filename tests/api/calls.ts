import type { CallOptions } from '../support/api.ts';

export type Call = readonly [method: string, path: string, options: CallOptions];

const json = (body: object): CallOptions => ({ body });

/** Every call of a device route that has a body, valid in itself. */
export const callsWithBody: readonly Call[] = [
  ['PUT', '/api/lock', json({ agent: 'support' })],
  ['PUT', '/api/state', json({ state: { a: 1 } })],
  ['PATCH', '/api/state', { body: { a: 1 }, type: 'application/merge-patch+json' }],
  ['POST', '/api/turn', json({ message_id: 'm1', content: 'Hello' })],
  ['PUT', '/api/turn', json({ token: '1', replies: [{ content: 'Hi' }] })],
  ['PATCH', '/api/turn', json({ token: '1' })],
  ['DELETE', '/api/turn', json({ token: '1' })],
  ['POST', '/api/webhooks/web', json({ message: 'Hello', message_id: 'm1' })],
];

/** Every call of a device route. */
export const deviceCalls: readonly Call[] = [
  ['GET', '/api/lock', {}],
  ['DELETE', '/api/lock', {}],
  ['GET', '/api/state', {}],
  ['DELETE', '/api/state', {}],
  ...callsWithBody,
];

const SESSION = '/api/chat/sessions/7d444840-9dc0-41d1-b245-5ffdce74fad2';

/** The methods each route takes. */
export const routes: ReadonlyMap<string, readonly string[]> = new Map([
  ['/api/lock', ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']],
  ['/api/state', ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
  ['/api/turn', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
  ['/api/device', ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS']],
  ['/api/device/link', ['POST', 'DELETE', 'OPTIONS']],
  ['/api/chat/users/anna', ['DELETE', 'OPTIONS']],
  ['/api/chat/sessions', ['GET', 'HEAD', 'POST', 'OPTIONS']],
  [SESSION, ['GET', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS']],
  [`${SESSION}/messages`, ['POST', 'OPTIONS']],
  [`${SESSION}/history`, ['GET', 'HEAD', 'OPTIONS']],
  ['/api/webhooks/web', ['POST', 'OPTIONS']],
  ['/api/webhooks/whatsapp', ['GET', 'HEAD', 'POST', 'OPTIONS']],
  ['/api/cron/cleanup', ['GET', 'HEAD', 'OPTIONS']],
  ['/api/chat/stats', ['GET', 'HEAD', 'OPTIONS']],
  ['/api/metrics', ['GET', 'HEAD', 'OPTIONS']],
  ['/api/health', ['GET', 'HEAD', 'OPTIONS']],
]);
