import { addressOf } from '../lib/access/addresses.ts';
import { verifyUserToken } from '../lib/access/user-tokens.ts';
import { eraseDevice, readDevice, registerDevice, renewRegistration } from '../lib/devices.ts';
import { BatonError } from '../lib/errors.ts';
import { sessionRecord } from '../lib/export.ts';
import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { deviceBody, linkBody } from '../lib/http/device-fields.ts';
import { newDevice } from '../lib/http/device-id.ts';
import { receiptOf, wantsReceipt } from '../lib/http/receipt.ts';
import { type Call, json, routes } from '../lib/http/route.ts';
import type { JsonObject } from '../lib/json.ts';
import { offerLink, redeemLink } from '../lib/links.ts';
import type { DeviceRecord } from '../lib/storage/storage.ts';

const messageCounts = ({ user, assistant, waiting, failed }: DeviceRecord['messages']) => ({
  user,
  assistant,
  waiting,
  failed,
});

/** An empty body says as much as an empty object. */
async function readBody(request: Request): Promise<JsonObject> {
  const bytes = await readBytes(request, BODY_LIMIT);
  if (bytes.byteLength === 0) return {};
  requireType(request, 'application/json');
  return parseObject(bytes);
}

async function read({ app, caller, device }: Call): Promise<Response> {
  const id = device();
  const record = await readDevice(app, id, caller.user);
  return json(200, {
    device_id: id,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
    lock: record.lock && {
      active_agent: record.lock.agent,
      locked_at: record.lock.lockedAt,
      expires_at: record.lock.expiresAt,
      session_ttl: record.lock.sessionTtl,
      version: record.lock.version,
    },
    state: record.state && {
      version: record.state.version,
      bytes: record.state.bytes,
      updated_at: record.state.updatedAt,
    },
    messages: messageCounts(record.messages),
    total_sessions: record.sessionCount,
    sessions: record.sessions.map(sessionRecord),
    lock_events: record.holdings.map(({ agent, from, to, reason }) => ({
      agent,
      from,
      to,
      reason,
    })),
  });
}

/** With an empty body, or with a token that says who is logged in. */
async function register({ app, caller, device, request }: Call): Promise<Response> {
  const body = check(deviceBody, await readBody(request));
  if (!app.newcomers.take(addressOf(request.headers))) {
    throw new BatonError(
      'rate_limited',
      'Too many devices were registered from this address; try again later',
    );
  }
  const user =
    body.user_token === undefined ? null : await verifyUserToken(body.user_token, app.config);
  const registered =
    caller.device === null
      ? await registerDevice(app, request.headers.has('x-device-id') ? device() : newDevice(), user)
      : await renewRegistration(app, caller.device, user);
  return json(201, {
    device_id: registered.device,
    ...(registered.user !== null && { user_id: registered.user }),
    token: registered.token,
    expires_at: registered.expiresAt,
  });
}

/** 204, or where the caller prefers it (RFC 7240) a receipt. */
async function erase({ app, device, request }: Call): Promise<Response> {
  const receipt = await eraseDevice(app, device());
  if (!wantsReceipt(request.headers)) return new Response(null, { status: 204 });
  return json(200, receiptOf(receipt), { 'preference-applied': 'return=representation' });
}

/** Without a code it gives one, with one it redeems it. */
async function link({ app, device, request }: Call): Promise<Response> {
  const id = device();
  const { code } = check(linkBody, await readBody(request));
  if (code === undefined) {
    const offered = await offerLink(app, id);
    return json(201, { device_id: id, code: offered.code, expires_at: offered.expiresAt });
  }
  await redeemLink(app, id, code);
  return json(200, { device_id: id, linked: true });
}

async function unlink({ app, device }: Call): Promise<Response> {
  await app.storage.unlink(device());
  return new Response(null, { status: 204 });
}

// vercel.json sends every path below this one here too.
export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = routes({
  '/api/device': { GET: read, POST: register, DELETE: erase },
  '/api/device/link': { POST: link, DELETE: unlink },
});
