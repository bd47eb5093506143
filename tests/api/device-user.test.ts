import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, type CallOptions, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { forge, now, partsOf } from '../support/tokens.ts';
import { as, bearer, env, KEY, registering, SECRET, userToken } from './devices.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi(env);
});
afterAll(() => api.close());
const register = registering(() => api);

describe('somebody who is logged in', () => {
  test('exchanges the token of the identity provider for a device token that carries the user', async () => {
    const registered = await register({ body: { user_token: userToken('auth0|7') } });

    expect(registered.user_id).toBe('auth0|7');
    expect(partsOf(registered.token).payload).toMatchObject({ user_id: 'auth0|7' });
  });

  test('keeps the device they came with, by its own token; without a user_token nobody is logged in', async () => {
    const registered = await register();

    const loggedIn = await register({ ...as(registered), body: { user_token: userToken('u1') } });
    expect(loggedIn).toMatchObject({ device_id: registered.device_id, user_id: 'u1' });

    const loggedOut = await register(as(loggedIn));
    expect(loggedOut.device_id).toBe(registered.device_id);
    expect(loggedOut).not.toHaveProperty('user_id');
  });

  test('401 unauthorized: a user_token that the provider would not have given', async () => {
    for (const token of [
      'x',
      userToken('u1', { aud: 'warehouse' }),
      userToken('u1', { exp: now() - 1 }),
      forge({ alg: 'none' }, partsOf(userToken('u1')).payload, null),
      forge({ alg: 'HS256' }, partsOf(userToken('u1')).payload, SECRET),
    ]) {
      await refuse(api, [401, 'unauthorized'], 'POST', '/api/device', {
        body: { user_token: token },
      });
    }
  });

  test('their token is no credential by itself, and a device token no user_token', async () => {
    const { device_id: device, token } = await register();

    const headers = bearer(userToken('u1'));
    await refuse(api, [401, 'unauthorized'], 'GET', '/api/lock', { device, headers });
    await refuse(api, [401, 'unauthorized'], 'POST', '/api/device', {
      body: { user_token: token },
    });
  });

  test('begins sessions in their own name only, and lists their own', async () => {
    const device = crypto.randomUUID();
    const anna = await register({ device, body: { user_token: userToken('anna') } });
    const ben = await register({ ...as(anna), body: { user_token: userToken('ben') } });
    const begin = (who: CallOptions, query = '') =>
      api.call('POST', `/api/chat/sessions${query}`, who);
    const list = async (who: CallOptions, query = '') => {
      const answer = await api.call('GET', `/api/chat/sessions${query}`, who);
      const { sessions } = answer.json as { sessions: { user_id: string; device_id: string }[] };
      return sessions.map(({ user_id, device_id }) => [user_id, device_id]);
    };

    expect((await begin(as(anna))).json).toMatchObject({ user_id: 'anna', device_id: device });
    expect((await begin(as(ben), '?user_id=ben')).json).toMatchObject({ user_id: 'ben' });
    await begin({ headers: bearer(KEY), device: crypto.randomUUID() }, '?user_id=anna');

    expect(await list(as(anna))).toEqual([['anna', device]]);
    expect(await list(as(anna), '?user_id=anna&include_expired=true')).toEqual([['anna', device]]);
    expect(await list(as(ben), `?device_id=${device}`)).toEqual([['ben', device]]);
    await refuse(api, [403, 'forbidden'], 'GET', '/api/chat/sessions?user_id=ben', as(anna));
    await refuse(api, [403, 'forbidden'], 'POST', '/api/chat/sessions?user_id=ben', as(anna));
    const other = `/api/chat/sessions?device_id=${crypto.randomUUID()}`;
    await refuse(api, [403, 'wrong_device'], 'GET', other, as(anna));
  });
});
