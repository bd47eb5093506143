import { expect, it } from 'vitest';
import { parseWebhook } from '../../../lib/channels/whatsapp/parse.ts';

it('an over-long phone number id costs its own message and not its neighbour', () => {
  const change = (account: string) => ({
    field: 'messages',
    value: {
      metadata: { phone_number_id: account },
      messages: [{ from: '1', id: `wamid.${account.length}`, type: 'text', text: { body: 'hi' } }],
    },
  });
  const changes = [change('9'.repeat(4_000)), change('200000000000001')];
  const body = { object: 'whatsapp_business_account', entry: [{ changes }] };
  const { messages, ignored } = parseWebhook(body, []);
  expect(messages.map(({ account }) => account)).toEqual(['200000000000001']);
  expect(ignored).toEqual(['unknown_number']);
});
