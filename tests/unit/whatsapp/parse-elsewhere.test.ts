import { describe, expect, it } from 'vitest';
import { parseWebhook } from '../../../lib/channels/whatsapp/parse.ts';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';
import { bodyOf, number, ours, parsed, text } from './values.ts';

const anybodys = { ...ours, phoneNumberIds: [] };

const without = (key: string) =>
  Object.fromEntries(Object.entries(text()).filter(([name]) => name !== key));

describe('numbers', () => {
  it('are any where none is set', () => {
    expect(
      parseWebhook(bodyOf([text()], { metadata: { phone_number_id: '999' } }), anybodys).messages,
    ).toMatchObject([{ account: '999' }]);
    expect(parseWebhook(bodyOf([text()], { metadata: {} }), anybodys).messages).toEqual([]);
  });

  it("of a sender are not taken for the business's own where that is not said", () => {
    expect(
      parsed([{ ...without('from') }], { metadata: { phone_number_id: number } }).messages,
    ).toHaveLength(1);
  });

  it('of the business are known by whatever spelling', () => {
    const metadata = { display_phone_number: '+52 1 55 5555 0199', phone_number_id: number };
    const own = text({ from: '525555550199' });
    expect(parsed([own], { metadata })).toMatchObject({ messages: [], ignored: ['own_message'] });
  });

  it('one that nobody could have costs its own change and not its neighbour', () => {
    const change = (account: string) =>
      (bodyOf([text()], { metadata: { phone_number_id: account } })['entry'] as JsonObject[])[0];
    const body = {
      object: 'whatsapp_business_account',
      entry: [change('9'.repeat(4_000)) ?? {}, change(number) ?? {}],
    };
    expect(parseWebhook(body, anybodys).messages.map(({ account }) => account)).toEqual([number]);
  });
});

describe('the time of a message', () => {
  it.each<[string, JsonValue, Date | null]>([
    ['seconds since 1970', '1795176000', new Date('2026-11-20T12:00:00Z')],
    ['1970 itself', '0', new Date(0)],
    ['milliseconds', '1795176000000', null],
    ['before 1970', '-1795176000', null],
    ['a number', 1795176000, null],
    ['with a fraction', '1795176000.5', null],
    ['in words', 'yesterday', null],
    ['a date', '2026-11-20T12:00:00Z', null],
    ['empty', '', null],
    ['null', null, null],
    ['in other digits', '١٧٩٥١٧٦٠٠٠', null],
    ['beyond what a Date can say', '99999999999999999', null],
  ])('%s', (_, timestamp, sentAt) => {
    expect(parsed([text({ timestamp })]).messages).toMatchObject([{ sentAt }]);
  });

  it('is nothing where it is missing, and costs no message', () => {
    expect(parsed([without('timestamp')]).messages).toMatchObject([
      { content: 'Hello', sentAt: null },
    ]);
  });

  it('in the far future is left to the storage, which knows what time it is', () => {
    const [message] = parsed([text({ timestamp: '99999999999' })]).messages;
    expect(message?.sentAt?.getUTCFullYear()).toBe(5138);
  });
});

describe('the word for the log', () => {
  it('never holds what somebody wrote, nor a phone number', () => {
    const hostile = [text({ group_id: '12025550101' }), text({ id: 12025550101 })];
    const statuses = [{ id: 'wamid.9', status: 'call 12025550101' }];
    const { ignored } = parsed(hostile, { statuses });
    expect(ignored).toHaveLength(3);
    expect(ignored.join(' ')).not.toContain('12025550101');
  });
});
