import { randomUUID } from 'node:crypto';
import { signBytes } from '../support/sign.ts';
import { bodyOf, type Text } from '../support/whatsapp.ts';
import { CRON_SECRET, SECRET } from './instances.ts';
import { leaks } from './leaks.ts';
import type { Shown } from './phone.ts';

/** What a caller of an instance gets to see. */
export interface Heard {
  /** 0: no answer came. */
  status: number;
  json: Record<string, unknown>;
  /** performance.now() around the call. */
  from: number;
  to: number;
}

export interface CallOptions {
  device?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Milliseconds the caller waits. */
  patience?: number;
}

/** Calls a route, and never throws. */
export async function call(
  url: string,
  method: string,
  path: string,
  { device, body, headers = {}, patience = 20_000 }: CallOptions = {},
): Promise<Heard> {
  const sent = typeof body === 'string' ? body : JSON.stringify(body ?? null);
  leaks.body(sent);
  leaks.headers(new Headers(headers));
  const from = performance.now();
  try {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(device !== undefined && { 'x-device-id': device }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: sent }),
      signal: AbortSignal.timeout(patience),
    });
    const text = await response.text();
    const json: unknown = text.startsWith('{') ? JSON.parse(text) : {};
    return {
      status: response.status,
      json: json as Record<string, unknown>,
      from,
      to: performance.now(),
    };
  } catch {
    return { status: 0, json: {}, from, to: performance.now() };
  }
}

export const isSuccess = ({ status }: Heard): boolean => status >= 200 && status < 300;

/** Any request makes an instance look for what somebody let fall. */
export const knock = (url: string): Promise<Heard> =>
  call(url, 'GET', '/api/lock', { device: randomUUID() });

export const say = (url: string, device: string, id: string, message: string): Promise<Heard> =>
  call(url, 'POST', '/api/webhooks/web', { device, body: { message, message_id: id } });

export const clean = (url: string): Promise<Heard> =>
  call(url, 'GET', '/api/cron/cleanup', { headers: { authorization: `Bearer ${CRON_SECRET}` } });

/** Posts a body as Meta does, signed. */
export function post(url: string, body: string): Promise<Heard> {
  const signature = signBytes(Buffer.from(body), SECRET);
  const headers = { 'x-hub-signature-256': `sha256=${signature}` };
  return call(url, 'POST', '/api/webhooks/whatsapp', { body, headers });
}

export const sms = (url: string, ...texts: Text[]): Promise<Heard> => post(url, bodyOf(texts));

/** What Meta tells of a reply that the person has. */
export function delivered({ to, replyId }: Shown): string {
  const { entry, ...rest } = JSON.parse(bodyOf([])) as {
    entry: [{ changes: [{ value: Record<string, unknown> }] }];
  };
  const { value } = entry[0].changes[0];
  delete value['messages'];
  delete value['contacts'];
  value['statuses'] = [
    {
      id: `wamid.${replyId}`,
      status: 'delivered',
      timestamp: String(Math.floor(Date.now() / 1_000)),
      recipient_id: to,
      biz_opaque_callback_data: replyId,
    },
  ];
  return JSON.stringify({ ...rest, entry });
}
