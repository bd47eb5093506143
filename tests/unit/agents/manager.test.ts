import { describe, expect, it } from 'vitest';
import { converse } from '../../support/conversation.ts';

describe('the manager', () => {
  it.each(['Hello', 'hi!', 'good morning', '😀', 'مرحبا'])(
    'greets on %j without taking a lock',
    async (text) => {
      const conversation = converse();
      expect(await conversation.say(text)).toEqual([expect.stringMatching(/^Hello!/)]);
      expect(conversation.holder).toBeNull();
      expect(conversation.last).toMatchObject({
        agent: 'manager',
        lock: { do: 'keep' },
        statePatch: null,
      });
    },
  );

  it('says in its greeting what the others can do', async () => {
    const [greeting] = await converse().say('hello');
    expect(greeting).toMatch(/appointments/);
    expect(greeting).toMatch(/invoices/);
  });

  it('does not greet twice, and still takes no lock', async () => {
    const conversation = converse();
    await conversation.say('hello');
    expect(await conversation.say('what is the meaning of life?')).toEqual([
      expect.not.stringMatching(/^Hello/),
    ]);
    expect(conversation.holder).toBeNull();
  });

  it.each([
    'book',
    'I would like to book a massage',
    'Schedule something, please',
    'an APPOINTMENT',
    'my appointments',
    'can I make a reservation?',
    'app\u200boint\u200bment',
    'ｂｏｏｋ',
  ])('passes %j to scheduling, which holds', async (text) => {
    const conversation = converse();
    await conversation.say(text);
    expect(conversation.last?.agent).toBe('scheduling');
    expect(conversation.holder).toBe('scheduling');
  });

  it.each([
    'invoice',
    'I have a question about my bill',
    'REFUND please',
    'my invoices',
    'where is my receipt',
    'in\u00advoice',
    'ｒｅｆｕｎｄ',
  ])('passes %j to billing, which holds', async (text) => {
    const conversation = converse();
    await conversation.say(text);
    expect(conversation.last?.agent).toBe('billing');
    expect(conversation.holder).toBe('billing');
  });

  it.each([
    'human',
    'I want to talk to a person',
    'let me speak to somebody',
    'can I talk to someone?',
    'Operator!',
    'a real person please',
    'Person, please!',
    'can I speak with an agent?',
    'is there any person I could ask?',
    'give me a hu\u200bman',
    'I need a human to help with my invoice',
  ])('passes %j to a person', async (text) => {
    const conversation = converse();
    expect(await conversation.say(text)).toHaveLength(1);
    expect(conversation.holder).toBe('human');
    expect(conversation.last).toMatchObject({
      agent: 'manager',
      lock: { do: 'set', agent: 'human' },
    });
  });

  it.each(['notebook', 'a handbook', 'Billy says hi', 'billion', 'humanity', 'personal trainer'])(
    'does not hear a wish in %j',
    async (text) => {
      const conversation = converse();
      await conversation.say(text);
      expect(conversation.holder).toBeNull();
    },
  );

  it('hears a wish in any of the messages of a turn', async () => {
    const conversation = converse();
    await conversation.say('hello', 'are you there?', 'I need an invoice');
    expect(conversation.holder).toBe('billing');
  });
});

describe('human', () => {
  it('is no code: once a person has the conversation nobody answers', async () => {
    const conversation = converse();
    await conversation.say('operator');
    expect(await conversation.say('hello?')).toEqual([]);
    expect(conversation.holder).toBe('human');
  });
});
