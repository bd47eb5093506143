import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../lib/config.ts';
import { corsHeaders } from '../../../lib/http/browsers.ts';
import { operations } from '../../../lib/http/operations.ts';

type Row = Parameters<typeof corsHeaders>[2];

function headersFor(
  origin: string,
  env: Record<string, string>,
  row: Row = operations['/api/lock'],
  method = 'GET',
): Record<string, string> {
  const result = readConfig(env);
  if (!result.ok) throw new Error(result.mistakes.join('\n'));
  const request = new Request('http://localhost/', { method, headers: { origin } });
  return corsHeaders(request, result.config, row);
}

const shop = 'https://shop.example';
const allowed = { ALLOWED_ORIGINS: `${shop},http://localhost:*` };

describe('corsHeaders', () => {
  it.each([shop, 'http://localhost:5173', 'http://localhost:1'])('lets in %s', (origin) => {
    expect(headersFor(origin, allowed)).toEqual({
      'access-control-allow-origin': origin,
      'access-control-expose-headers':
        'Content-Disposition, ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id',
      vary: 'Origin',
    });
  });

  it.each([
    'https://shop.example.evil.example',
    'https://evil.example',
    'http://shop.example',
    'https://shop.example:8443',
    'https://SHOP.example',
    'http://localhost:',
    'http://localhost:80.evil.example',
    'http://localhost:8080/',
    'null',
    '',
  ])('says nothing to %s', (origin) => {
    expect(headersFor(origin, allowed)).toEqual({});
  });

  it('with * lets in every origin', () => {
    expect(headersFor('https://any.example', { ALLOWED_ORIGINS: '*' })).toMatchObject({
      'access-control-allow-origin': 'https://any.example',
    });
  });

  it('without ALLOWED_ORIGINS lets in none in production, elsewhere this machine', () => {
    expect(headersFor('http://localhost:3001', { VERCEL_ENV: 'production' })).toEqual({});
    expect(headersFor('http://localhost:3001', {})).not.toEqual({});
    expect(headersFor(shop, {})).toEqual({});
  });

  it('tells a preflight the methods and headers that may be used', () => {
    expect(headersFor(shop, allowed, operations['/api/lock'], 'OPTIONS')).toEqual({
      'access-control-allow-origin': shop,
      'access-control-allow-methods': 'GET, PUT, DELETE',
      'access-control-allow-headers':
        'Authorization, Content-Type, If-Match, If-None-Match, X-Device-ID, X-Request-Id',
      'access-control-max-age': '7200',
      vary: 'Origin',
    });
  });

  it('never lets credentials go along by themselves', () => {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = headersFor(shop, allowed, operations['/api/lock'], method);
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    }
  });

  it.each([
    '/api/webhooks/whatsapp',
    '/api/cron/cleanup',
    '/api/metrics',
    '/api/turn?failed=true',
  ] as const)('shares nothing of %s, which no page has business with', (path) => {
    expect(headersFor(shop, allowed, operations[path], 'OPTIONS')).toEqual({});
  });
});
