import { describe, expect, it } from 'vitest';
import { parseDeviceId } from '../../../lib/http/device-id.ts';
import { codeOf } from '../../support/refusals.ts';

describe('parseDeviceId', () => {
  it.each([
    ['version 1', '2c1d43b8-e6d7-11ee-9f3a-0242ac120002'],
    ['version 4', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11'],
    ['version 7', '019376a0-5b3c-7d5e-8f11-2a3b4c5d6e7f'],
    ['version 8', '320c3d4d-cc00-875b-8ec9-32d5f69181c0'],
    ['a version nobody has defined', '6f1c9a52-8a67-fc51-0a31-0b6f7f2f8d11'],
    ['almost nil', '00000000-0000-0000-0000-000000000001'],
    ['almost max', 'ffffffff-ffff-ffff-ffff-fffffffffffe'],
  ])('takes %s', (_, id) => {
    expect(parseDeviceId(id)).toBe(id);
  });

  it('takes any letter case and makes it lower case', () => {
    expect(parseDeviceId('6F1C9A52-8A67-4C51-9A31-0B6F7F2F8D11')).toBe(
      '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11',
    );
    expect(parseDeviceId('6f1C9a52-8A67-4c51-9a31-0b6F7f2f8d11')).toBe(
      '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11',
    );
  });

  it.each([
    ['nothing', null],
    ['an empty value', ''],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
    ['the max UUID', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['the max UUID in capitals', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'],
    ['no hyphens', '6f1c9a528a674c519a310b6f7f2f8d11'],
    ['braces', '{6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11}'],
    ['a URN', 'urn:uuid:6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11'],
    ['one digit too few', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d1'],
    ['one digit too many', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d111'],
    ['a letter that is no digit', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d1g'],
    ['hyphens elsewhere', '6f1c9a5-28a67-4c51-9a31-0b6f7f2f8d11'],
    ['blanks around', ' 6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11'],
    ['a line more', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11\n'],
    ['two of them', '6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11, 6f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11'],
    ['full-width digits', '６f1c9a52-8a67-4c51-9a31-0b6f7f2f8d11'],
    ['a session id of another kind', 'session-1'],
  ])('refuses %s as invalid_device_id', (_, id) => {
    expect(codeOf(() => parseDeviceId(id))).toBe('invalid_device_id');
  });
});
