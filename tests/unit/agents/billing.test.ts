import { describe, expect, it } from 'vitest';
import { converse } from '../../support/conversation.ts';

describe('billing', () => {
  it('asks for the invoice number, notes it down and ends', async () => {
    const conversation = converse();
    expect(await conversation.say('I have a question about my bill')).toEqual([
      'What is the invoice number?',
    ]);
    expect(conversation.holder).toBe('billing');
    expect(await conversation.say('2041')).toEqual([
      'Thank you. Invoice 2041 is noted, and we will get back to you about it.',
    ]);
    expect(conversation.holder).toBeNull();
    expect(conversation.state).toEqual({ billing: { invoice: '2041' } });
  });

  it('asks in other words when the answer holds no number, and goes on holding', async () => {
    const conversation = converse();
    const [first] = await conversation.say('refund');
    const [second] = await conversation.say('I do not know');
    expect(second).toMatch(/number/);
    expect(second).not.toBe(first);
    expect(conversation.holder).toBe('billing');
  });

  it('does not ask for a number that came with the wish', async () => {
    const conversation = converse();
    expect(await conversation.say('a refund for invoice 2041 please')).toEqual([
      expect.stringContaining('Invoice 2041 is noted'),
    ]);
    expect(conversation.holder).toBeNull();
    expect(conversation.state).toEqual({ billing: { invoice: '2041' } });
  });

  it.each([
    ['INV-2041', 'INV-2041'],
    ['#2041', '2041'],
    ['A/17', 'A/17'],
    ['2026-0007', '2026-0007'],
    ['number 2041, I think', '2041'],
    ['it is 2041', '2041'],
    ['The number is 2041.', '2041'],
    ['my bill 2041', '2041'],
    ['please see INV-2041.', 'INV-2041'],
  ])('finds the number in %j', async (text, invoice) => {
    const conversation = converse({ billing: { asked: true } });
    await conversation.say('invoice');
    await conversation.say(text);
    expect(conversation.state).toEqual({ billing: { invoice } });
  });

  it('finds the number in any of the messages of a turn', async () => {
    const conversation = converse();
    await conversation.say('about my invoice', 'hold on', '2041');
    expect(conversation.state).toEqual({ billing: { invoice: '2041' } });
  });

  it('on "cancel" forgets that it asked', async () => {
    const conversation = converse();
    await conversation.say('invoice');
    expect(await conversation.say('cancel')).toEqual(['All right, cancelled.']);
    expect(conversation.holder).toBeNull();
    expect(conversation.state).toEqual({});
  });
});
