/**
 * Who may call an operation.
 *
 * - `device`: an API key, for any device; a device token, for its own
 * - `operator`: an API key alone
 * - `newcomer`: anybody; a device token that comes along says who asks
 * - `public`: anybody, and credentials are not looked at
 * - `signature`: whoever signed the body, or knows the token of the verification; the handler sees to it
 * - `cron`: CRON_SECRET
 */
export type Access = 'device' | 'operator' | 'newcomer' | 'public' | 'signature' | 'cron';

/** Methods that do something; HEAD follows GET, and OPTIONS tells of the others. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * Every operation and who may call it: the one place that says so. From it the wrapper (route.ts) decides, and the
 * OpenAPI document and the table of docs/security.md are made. A handler without a row here does not compile, and
 * neither does a row's function that leaves a method out.
 *
 * `{name}` in a path stands for one segment of it; behind a `?`, what the query must hold for the row to apply.
 */
export const operations = {
  '/api/lock': { GET: 'device', PUT: 'device', DELETE: 'device' },
  '/api/state': { GET: 'device', PUT: 'device', PATCH: 'device', DELETE: 'device' },
  '/api/turn': { POST: 'device', PUT: 'device', PATCH: 'device', DELETE: 'device' },
  '/api/turn?failed=true': { GET: 'operator', POST: 'operator' },
  '/api/chat/sessions': { GET: 'device', POST: 'device' },
  '/api/chat/sessions/{id}': { GET: 'device', PATCH: 'device', DELETE: 'device' },
  '/api/chat/sessions/{id}/messages': { POST: 'device' },
  '/api/chat/sessions/{id}/history': { GET: 'device' },
  '/api/chat/users/{user_id}': { DELETE: 'operator' },
  '/api/chat/stats': { GET: 'operator' },
  '/api/device': { GET: 'device', POST: 'newcomer', DELETE: 'device' },
  '/api/device/link': { POST: 'device', DELETE: 'device' },

  '/api/webhooks/web': { POST: 'device' },
  '/api/webhooks/whatsapp': { GET: 'signature', POST: 'signature' },
  '/api/cron/cleanup': { GET: 'cron' },
  '/api/health': { GET: 'public' },
  '/api/metrics': { GET: 'operator' },
} as const satisfies Readonly<Record<`/api/${string}`, Readonly<Partial<Record<Method, Access>>>>>;

export type Operations = typeof operations;
export type Path = keyof Operations;
