import { BODY_LIMIT, check, parseObject, readBytes, requireType } from '../lib/http/body.ts';
import { etagOf, readGuard } from '../lib/http/guards.ts';
import { json, route } from '../lib/http/route.ts';
import { stateBody } from '../lib/http/state-fields.ts';
import { forgetState, mergeState, readState, replaceState } from '../lib/state.ts';
import type { DeviceId, StateDocument } from '../lib/storage/storage.ts';

function answer(device: DeviceId, { state, version, updatedAt }: StateDocument): Response {
  const written = version === null ? {} : { version, updated_at: updatedAt };
  return json(200, { device_id: device, state, ...written }, etagOf(version));
}

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/state', {
  async GET({ app, device }) {
    const id = device();
    return answer(id, await readState(app.storage, id));
  },
  async PUT({ app, device, request }) {
    const id = device();
    const guard = readGuard(request.headers);
    requireType(request, 'application/json');
    const { state } = check(stateBody, parseObject(await readBytes(request, BODY_LIMIT)));
    return answer(id, await replaceState(app.storage, id, state, guard));
  },
  async PATCH({ app, device, request }) {
    const id = device();
    const guard = readGuard(request.headers);
    requireType(request, 'application/merge-patch+json');
    const patch = parseObject(await readBytes(request, BODY_LIMIT));
    return answer(id, await mergeState(app.storage, id, patch, guard));
  },
  async DELETE({ app, device, request }) {
    await forgetState(app.storage, device(), readGuard(request.headers));
    return new Response(null, { status: 204 });
  },
});
