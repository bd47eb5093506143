import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/json.ts';
import { ofKind, only, parsed, parsedField, text } from './values.ts';

// What is not simply a message of a person: their ids have changed, a colleague has answered, they have called.

const { from_user_id: _, ...withoutUserId } = text();
const { from: __, ...ofNobody } = withoutUserId;
const system = (sender: JsonObject, content: JsonObject) => {
  const message = { ...sender, type: 'system', system: content };
  const { sender: who, becomes, turn } = only(parsed([message]));
  return { sender: who, becomes, turn };
};

describe('a changed number or user id', () => {
  it.each<[string, JsonObject, JsonObject, object, object]>([
    [
      'both, with what they were',
      text(),
      {
        type: 'user_changed_number',
        wa_id: '12025550112',
        user_id: 'US.112',
        previous_user_id: 'US.101',
      },
      { phone: '12025550101', userId: 'US.101' },
      { phone: '12025550112', userId: 'US.112' },
    ],
    [
      'the number, before user ids',
      withoutUserId,
      { type: 'user_changed_number', wa_id: '12025550112' },
      { phone: '12025550101', userId: null },
      { phone: '12025550112', userId: null },
    ],
    [
      'the number, in the words of older versions',
      withoutUserId,
      { type: 'customer_changed_number', new_wa_id: '12025550112', customer: '12025550101' },
      { phone: '12025550101', userId: null },
      { phone: '12025550112', userId: null },
    ],
    [
      'the number, the old one told by the news alone',
      ofNobody,
      { type: 'customer_changed_number', new_wa_id: '12025550112', customer: '12025550101' },
      { phone: '12025550101', userId: null },
      { phone: '12025550112', userId: null },
    ],
    [
      'the user id of somebody without a phone',
      ofNobody,
      { type: 'user_changed_user_id', user_id: 'US.113', previous_user_id: 'US.104' },
      { phone: null, userId: 'US.104' },
      { phone: null, userId: 'US.113' },
    ],
    [
      'the user id, the message carrying the new one already',
      text({ from_user_id: 'US.112' }),
      { type: 'user_changed_user_id', user_id: 'US.112', previous_user_id: 'US.101' },
      { phone: '12025550101', userId: 'US.101' },
      { phone: null, userId: 'US.112' },
    ],
    [
      'a change of a kind that is not known yet',
      ofNobody,
      { type: 'user_changed_everything', user_id: 'US.113', previous_user_id: 'US.104' },
      { phone: null, userId: 'US.104' },
      { phone: null, userId: 'US.113' },
    ],
    [
      'a Mexican number, folded like every other',
      withoutUserId,
      { type: 'user_changed_number', wa_id: '5215555550105' },
      { phone: '12025550101', userId: null },
      { phone: '525555550105', userId: null },
    ],
  ])('%s', (_, sender, content, was, becomes) => {
    expect(system(sender, content)).toEqual({ sender: was, becomes, turn: false });
  });

  it.each<[string, JsonObject]>([
    ['a new safety number', { type: 'user_identity_changed', wa_id: '12025550101' }],
    ['news without ids', { type: 'user_changed_number' }],
    ['news with broken ids', { type: 'user_changed_number', wa_id: 7, user_id: [] }],
  ])('is not what this is: %s', (_, content) => {
    expect(system(text(), content)).toEqual({
      sender: { phone: '12025550101', userId: 'US.101' },
      becomes: undefined,
      turn: false,
    });
  });

  it('is believed of a system message alone', () => {
    const content = { type: 'user_changed_number', wa_id: '12025550112' };
    expect(only(parsed([text({ system: content })]))).not.toHaveProperty('becomes');
  });
});

describe('the field user_id_update', () => {
  const update = {
    wa_id: '12025550112',
    user_id: { previous: 'US.101', current: 'US.112' },
    timestamp: '1795176000',
  };
  const contacts = [{ wa_id: '12025550101' }];
  const read = (elements: JsonObject[]) =>
    parsedField('user_id_update', 'user_id_update', elements, { contacts });

  it('is the same news, under an id that is the same in every delivery', () => {
    expect(only(read([update]))).toEqual({
      sender: { phone: '12025550101', userId: 'US.101' },
      becomes: { phone: '12025550112', userId: 'US.112' },
      channel: 'whatsapp',
      account: '200000000000001',
      externalId: 'user_id_update:US.101:US.112',
      content: '',
      metadata: { kind: 'system', system: { type: 'user_id_update' } },
      sentAt: new Date('2026-11-20T12:00:00Z'),
      answerWithin: 86_400,
      turn: false,
    });
  });

  it('of several people takes nothing from the contact', () => {
    const other = { user_id: { previous: 'US.1', current: 'US.2' } };
    expect(read([update, other]).messages.map(({ sender }) => sender)).toEqual([
      { phone: null, userId: 'US.101' },
      { phone: null, userId: 'US.1' },
    ]);
  });

  it.each([{}, { user_id: null }, { user_id: { previous: 'US.101' } }, { user_id: 'US.112' }])(
    'without both ids is nothing: %j',
    (element) => {
      expect(read([element])).toMatchObject({ messages: [], ignored: ['no_user_ids'] });
    },
  );
});

describe('an echo of the business app', () => {
  const echo = (some: JsonObject = {}) => {
    const { from_user_id: _, ...message } = text({
      from: '15550100001',
      to: '12025550101',
      to_user_id: 'US.101',
      ...some,
    });
    return message;
  };
  const read = (elements: JsonObject[], contacts: JsonObject[] = []) =>
    parsedField('smb_message_echoes', 'message_echoes', elements, { contacts });

  it('is what a person said for the business, to whom it went, for HUMAN_TTL', () => {
    expect(only(read([echo()]))).toEqual({
      sender: { phone: '12025550101', userId: 'US.101' },
      channel: 'whatsapp',
      account: '200000000000001',
      externalId: 'wamid.1',
      content: 'Hello',
      metadata: { kind: 'text' },
      sentAt: new Date('2026-11-20T12:00:00Z'),
      answerWithin: 86_400,
      byHuman: { ttlSeconds: 3_600 },
    });
  });

  it('of whatever kind takes over: a picture, something unknown', () => {
    const picture = { type: 'image', image: { id: '1', caption: 'look' } };
    expect(only(read([echo(picture)]))).toMatchObject({
      content: 'look',
      metadata: { kind: 'image', media: { id: '1' } },
      byHuman: { ttlSeconds: 3_600 },
    });
    const unknown = only(read([echo({ type: 'hologram' })]));
    expect(unknown.byHuman).toEqual({ ttlSeconds: 3_600 });
    expect(unknown).not.toHaveProperty('turn');
  });

  it.each<[string, JsonObject]>([
    ['a deletion', ofKind('revoke', { original_message_id: 'wamid.0' })],
    ['an edit', ofKind('edit', { original_message_id: 'wamid.0', message: {} })],
    ['a reaction', ofKind('reaction', { message_id: 'wamid.0', emoji: '👍' })],
  ])('%s is noted, and takes nothing over', (kind, message) => {
    const read_ = only(read([{ ...message, from: '15550100001', to: '12025550101' }]));
    expect(read_.byHuman).toEqual({ ttlSeconds: null });
    if (kind === 'a deletion') expect(read_.revokes).toBe('wamid.0');
  });

  it('to somebody without a phone goes by the user id, or by the only contact', () => {
    const { to: _, to_user_id: __, ...bare } = echo();
    expect(only(read([{ ...bare, to_user_id: 'US.104' }])).sender).toEqual({
      phone: null,
      userId: 'US.104',
    });
    expect(only(read([bare], [{ user_id: 'US.104' }])).sender).toEqual({
      phone: null,
      userId: 'US.104',
    });
    expect(read([bare])).toMatchObject({ messages: [], ignored: ['no_sender'] });
  });

  it('never is who it came from', () => {
    const { to: _, to_user_id: __, ...bare } = echo({ from: '12025550101' });
    expect(read([bare]).messages).toEqual([]);
  });

  it('to a group is passed by', () => {
    expect(read([echo({ group_id: 'G1' })])).toMatchObject({ messages: [], ignored: ['group'] });
  });
});

describe('a call', () => {
  const call = {
    id: 'wacid.1',
    from: '12025550101',
    from_user_id: 'US.101',
    to: '15550100001',
    event: 'connect',
    direction: 'USER_INITIATED',
    timestamp: '1795176000',
  };
  const read = (elements: JsonObject[]) => parsedField('calls', 'calls', elements);

  it('of a person opens the window, and is no turn', () => {
    expect(only(read([call]))).toMatchObject({
      sender: { phone: '12025550101', userId: 'US.101' },
      externalId: 'wacid.1',
      content: '',
      metadata: { kind: 'call' },
      turn: false,
    });
  });

  it.each(['BUSINESS_INITIATED', null, 7])('of direction %j is none of theirs', (direction) => {
    expect(read([{ ...call, direction }])).toMatchObject({
      messages: [],
      ignored: ['call_of_ours'],
    });
  });
});
