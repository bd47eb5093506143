import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, startApi } from '../support/api.ts';
import { refuse } from '../support/problems.ts';
import { deviceCalls } from './calls.ts';

let api: Api;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

describe('X-Device-ID names the device', () => {
  test.for([
    ['version 1', '2d9428f2-c5bd-11ef-8ed1-0242ac120002'],
    ['version 3', '5df41881-3aed-3515-88a7-2f4a814cf09e'],
    ['version 4', '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55'],
    ['version 5', '2ed6657d-e927-568b-95e1-2665a8aea6a2'],
    ['version 6', '1ec9414c-232a-6b00-b3c8-9f6bdeced846'],
    ['version 7', '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'],
    ['version 8', '320c3d4d-cc00-875b-8ec9-32d5f69181c0'],
    ['no known version or variant', '00000000-0000-0000-0000-000000000001'],
    ['one digit short of the max UUID', 'ffffffff-ffff-ffff-ffff-fffffffffffe'],
  ] as const)('a UUID of %s is one', async ([, device]) => {
    const answer = await api.call('PUT', '/api/lock', { device, body: { agent: 'support' } });

    expect([answer.status, answer.json]).toMatchObject([200, { device_id: device }]);
  });

  test('in upper case it is the same device, told in lower case', async () => {
    const device = crypto.randomUUID();
    const body = { agent: 'support' };
    const written = await api.call('PUT', '/api/lock', { device: device.toUpperCase(), body });
    expect(written.json).toMatchObject({ device_id: device });

    const read = await api.call('GET', '/api/lock', { device });
    expect(read.json).toEqual(written.json);
    const state = await api.call('GET', '/api/state', { device: device.toUpperCase() });
    expect(state.json).toEqual({ device_id: device, state: {} });
  });
});

describe('400 invalid_device_id', () => {
  const invalid = [400, 'invalid_device_id'] as const;

  test.for(deviceCalls)('%s %s without a device', async ([method, path, options]) => {
    await refuse(api, invalid, method, path, options);
  });

  test.for([
    ['empty', ''],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
    ['the max UUID', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['the max UUID in upper case', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'],
    ['a word', 'me'],
    ['a number', '12345'],
    ['without hyphens', '0b0e1cf41a3c4f3a9a514f0c9f7f1c55'],
    ['in braces', '{0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55}'],
    ['as a URN', 'urn:uuid:0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55'],
    ['a digit short', '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c5'],
    ['a digit long', '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c555'],
    ['with hyphens elsewhere', '0b0e1cf41a-3c-4f3a-9a51-4f0c9f7f1c55'],
    ['with a letter beyond f', '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c5g'],
    ['two of them', '0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c55, 0b0e1cf4-1a3c-4f3a-9a51-4f0c9f7f1c56'],
    ['SQL', "' OR 1=1 --"],
  ] as const)('on every route: the device is %s', async ([, device]) => {
    for (const [method, path, options] of deviceCalls) {
      await refuse(api, invalid, method, path, { ...options, device });
    }
  });

  test('the id given is not told back', async () => {
    const { text } = await refuse(api, invalid, 'GET', '/api/lock', { device: '<script>' });

    expect(text).not.toContain('script');
  });
});
