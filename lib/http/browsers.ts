import type { Config } from '../config.ts';
import type { Access } from './operations.ts';

// What browsers are told. No route sets or reads a cookie: a credential that a browser sends by itself is what makes
// cross-site requests dangerous, and there is none.

/** On every answer: it is data, to be shown in no frame and run as nothing. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
};

/** What pages of other origins may call at all: servers and operators come without a page. */
const BROWSER_ACCESS: readonly Access[] = ['device', 'newcomer', 'public'];

const EXPOSED = 'Content-Disposition, ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id';
const TAKEN = 'Authorization, Content-Type, If-Match, If-None-Match, X-Device-ID, X-Request-Id';

/**
 * The headers of cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol): none for a path
 * that pages have no business with, or an origin that is not in ALLOWED_ORIGINS.
 *
 * @param accesses of the path, by method
 */
export function corsHeaders(
  { headers, method: asked }: Request,
  { allowedOrigins }: Config,
  accesses: Readonly<Partial<Record<string, Access>>>,
): Record<string, string> {
  const origin = headers.get('origin') ?? '';
  const methods = Object.entries(accesses).flatMap(([method, access]) =>
    access !== undefined && BROWSER_ACCESS.includes(access) ? [method] : [],
  );
  if (methods.length === 0 || !allowedOrigins.some((entry) => matches(origin, entry))) return {};
  return {
    'access-control-allow-origin': origin,
    vary: 'Origin',
    ...(asked === 'OPTIONS'
      ? {
          'access-control-allow-methods': methods.join(', '),
          'access-control-allow-headers': TAKEN,
          'access-control-max-age': '7200',
        }
      : { 'access-control-expose-headers': EXPOSED }),
  };
}

/** @param entry an origin, one with `:*` for any port, or `*` */
function matches(origin: string, entry: string): boolean {
  if (entry === '*' || entry === origin) return true;
  if (!entry.endsWith(':*')) return false;
  const scheme = entry.slice(0, -1);
  return origin.startsWith(scheme) && /^\d+$/.test(origin.slice(scheme.length));
}
