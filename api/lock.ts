import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { etagOf, readGuard } from '../lib/http/guards.ts';
import { lockBody } from '../lib/http/lock-fields.ts';
import { json, route } from '../lib/http/route.ts';
import { holdLock, readLock, releaseLock } from '../lib/locks.ts';
import type { DeviceId, Lock } from '../lib/storage/storage.ts';

function answer(device: DeviceId, lock: Lock | null): Response {
  if (lock === null) return json(200, { device_id: device, active_agent: null });
  return json(
    200,
    {
      device_id: device,
      active_agent: lock.agent,
      locked_at: lock.lockedAt,
      expires_at: lock.expiresAt,
      session_ttl: lock.sessionTtl,
      version: lock.version,
    },
    etagOf(lock.version),
  );
}

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/lock', {
  async GET({ app, device }) {
    const id = device();
    return answer(id, await readLock(app, id));
  },
  async PUT({ app, device, request }) {
    const id = device();
    const guard = readGuard(request.headers);
    requireType(request, 'application/json');
    const { agent, session_ttl: ttl } = check(
      lockBody,
      parseObject(await readBytes(request, BODY_LIMIT)),
    );
    return answer(id, await holdLock(app, id, agent, ttl ?? null, guard));
  },
  async DELETE({ app, device, request }) {
    await releaseLock(app, device(), readGuard(request.headers));
    return new Response(null, { status: 204 });
  },
});
