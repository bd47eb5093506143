import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/json.ts';
import { only, parsed, text } from './values.ts';

const { from: _, ...withoutPhone } = text();
const { from_user_id: __, ...withoutUserId } = text();
const { from: ___, ...ofNobody } = withoutUserId;
const ana = { profile: { name: 'Ana' }, wa_id: '12025550101', user_id: 'US.101' };
const ben = {
  profile: { name: 'Ben', username: '@ben' },
  wa_id: '447700900123',
  user_id: 'GB.102',
};

const senderOf = (message: JsonObject, contacts: JsonObject[] = []) =>
  only(parsed([message], { contacts })).sender;

describe('the sender', () => {
  it.each<[string, JsonObject, object]>([
    ['a phone number and a user id', text(), { phone: '12025550101', userId: 'US.101' }],
    ['a phone number alone', withoutUserId, { phone: '12025550101', userId: null }],
    ['a user id alone', withoutPhone, { phone: null, userId: 'US.101' }],
    [
      'a phone number that is a JSON number',
      text({ from: 12025550101 }),
      { phone: null, userId: 'US.101' },
    ],
    ['a phone number without digits', text({ from: '+' }), { phone: null, userId: 'US.101' }],
    ['a name in place of a number', text({ from: 'ana' }), { phone: null, userId: 'US.101' }],
    [
      'a user id of no sane length',
      text({ from_user_id: `US.${'1'.repeat(300)}` }),
      { phone: '12025550101', userId: null },
    ],
    [
      'a user id with U+0000',
      text({ from_user_id: 'US.\u0000101' }),
      { phone: '12025550101', userId: 'US.101' },
    ],
  ])('with %s', (_, message, sender) => {
    expect(senderOf(message)).toEqual(sender);
  });

  it.each([
    ['+1 202-555-0101', '12025550101'],
    ['5215555550105', '525555550105'],
  ])('%s is matched by its digits, and reached by what Meta wrote', (from, phone) => {
    expect(senderOf({ ...withoutUserId, from })).toEqual({ phone, userId: null, dial: from });
  });

  it('is the contact, where one message comes with one contact and names nobody', () => {
    expect(senderOf(ofNobody, [ana])).toEqual({ phone: '12025550101', userId: 'US.101' });
  });

  it.each([
    ['there are two contacts', [ofNobody], [ana, ben]],
    ['there are two messages', [ofNobody, { ...ofNobody, id: 'wamid.2' }], [ana]],
    ['the contact has no id', [ofNobody], [{ profile: { name: 'Ana' } }]],
    ['there is no contact', [ofNobody], []],
  ])('is nobody where %s', (_, messages, contacts) => {
    const { messages: read, ignored } = parsed(messages, { contacts });
    expect(read).toEqual([]);
    expect(new Set(ignored)).toEqual(new Set(['no_sender']));
  });

  it('is not the contact where the message names another', () => {
    expect(senderOf(text(), [ben])).toEqual({ phone: '12025550101', userId: 'US.101' });
  });
});

describe('the profile', () => {
  const profileOf = (message: JsonObject, contacts: JsonObject[]) =>
    only(parsed([message], { contacts })).metadata['profile'];

  it('is that of the contact with the same id, wherever it stands', () => {
    expect(profileOf(text(), [ben, ana])).toEqual({ name: 'Ana' });
    expect(profileOf(withoutPhone, [ben, ana])).toEqual({ name: 'Ana' });
    expect(profileOf({ ...withoutUserId, from: '+1 202 555 0101' }, [ben, ana])).toEqual({
      name: 'Ana',
    });
    expect(profileOf(text({ from: '447700900123', from_user_id: 'GB.102' }), [ana, ben])).toEqual({
      name: 'Ben',
      username: '@ben',
    });
  });

  it('follows the user id where the phone says another', () => {
    expect(profileOf(text({ from: '447700900123' }), [ben, ana])).toEqual({ name: 'Ana' });
  });

  it('is left out where no contact has one of the ids', () => {
    expect(profileOf(text(), [ben])).toBeUndefined();
  });

  it('is cleaned and cut: it is whatever somebody calls themselves', () => {
    const profile = { name: `A\u0000na\ud83d${'x'.repeat(300)}`, username: 7 };
    const read = profileOf(text(), [{ ...ana, profile }]) as { name: string };
    expect(Object.keys(read)).toEqual(['name']);
    expect(read.name).toHaveLength(256);
    expect(read.name).toMatch(/^Ana\ufffdxxx/);
  });
});
