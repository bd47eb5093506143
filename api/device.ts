import { addressOf } from '../lib/access/addresses.ts';
import { verifyUserToken } from '../lib/access/user-tokens.ts';
import { eraseDevice, readDevice, registerDevice, renewRegistration } from '../lib/devices.ts';
import { BatonError } from '../lib/errors.ts';
import { sessionRecord } from '../lib/export.ts';
import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { deviceBody } from '../lib/http/device-fields.ts';
import { newDevice } from '../lib/http/device-id.ts';
import { receiptOf, wantsReceipt } from '../lib/http/receipt.ts';
import { json, route } from '../lib/http/route.ts';
import type { DeviceRecord } from '../lib/storage/storage.ts';

const messageCounts = ({ user, assistant, waiting, failed }: DeviceRecord['messages']) => ({
  user,
  assistant,
  waiting,
  failed,
});

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/device', {
  async GET({ app, caller, device }) {
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
  },

  /** With an empty body, or with a token that says who is logged in. */
  async POST({ app, caller, device, request }) {
    const bytes = await readBytes(request, BODY_LIMIT);
    if (bytes.byteLength > 0) requireType(request, 'application/json');
    const body = check(deviceBody, bytes.byteLength > 0 ? parseObject(bytes) : {});
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
        ? await registerDevice(
            app,
            request.headers.has('x-device-id') ? device() : newDevice(),
            user,
          )
        : await renewRegistration(app, caller.device, user);
    return json(201, {
      device_id: registered.device,
      ...(registered.user !== null && { user_id: registered.user }),
      token: registered.token,
      expires_at: registered.expiresAt,
    });
  },

  /** 204, or where the caller prefers it (RFC 7240) a receipt. */
  async DELETE({ app, device, request }) {
    const receipt = await eraseDevice(app, device());
    if (!wantsReceipt(request.headers)) return new Response(null, { status: 204 });
    return json(200, receiptOf(receipt), { 'preference-applied': 'return=representation' });
  },
});
