import { describe, expect, it } from 'vitest';
import { converse } from '../../support/conversation.ts';

const haircut = { service: 'A haircut', day: 'tomorrow', time: '10:30' };
const booked = (service: string, day: string, time: string) => ({
  scheduling: { booking: { service, day, time } },
});

describe('scheduling', () => {
  it('asks for service, day and time over several messages, confirms, keeps the booking and ends', async () => {
    const conversation = converse();
    expect(await conversation.say('I would like to book something')).toEqual([
      'Happy to. What would you like to book?',
    ]);
    expect(conversation.holder).toBe('scheduling');
    expect(await conversation.say('A haircut')).toEqual(['A haircut, fine. Which day suits you?']);
    expect(conversation.holder).toBe('scheduling');
    expect(await conversation.say('tomorrow')).toEqual(['tomorrow, good. At what time?']);
    expect(conversation.holder).toBe('scheduling');
    expect(await conversation.say('10:30')).toEqual([
      'Booked: A haircut, tomorrow, 10:30. See you then!',
    ]);
    expect(conversation.holder).toBeNull();
    expect(conversation.state).toEqual(booked('A haircut', 'tomorrow', '10:30'));
  });

  it('holds for an hour at a time', async () => {
    const conversation = converse();
    await conversation.say('book');
    expect(conversation.last?.lock).toEqual({ do: 'set', agent: 'scheduling', ttl: 3_600 });
    await conversation.say('A haircut');
    expect(conversation.last?.lock).toEqual({ do: 'set', agent: 'scheduling', ttl: 3_600 });
  });

  it('takes what it gets in one turn, each message as the answer to the next question', async () => {
    const conversation = converse();
    const replies = await conversation.say(
      'I want to book',
      'A haircut',
      'next Friday',
      'half past three',
    );
    expect(replies).toEqual(['Booked: A haircut, next Friday, half past three. See you then!']);
    expect(conversation.holder).toBeNull();
    expect(conversation.state).toEqual(booked('A haircut', 'next Friday', 'half past three'));
  });

  it('goes on where several messages of one turn stopped', async () => {
    const conversation = converse();
    expect(await conversation.say('hello', 'book', 'A haircut')).toEqual([
      'A haircut, fine. Which day suits you?',
    ]);
    expect(await conversation.say('tomorrow', '10:30')).toEqual([
      'Booked: A haircut, tomorrow, 10:30. See you then!',
    ]);
  });

  it('does not ask again for a day and a time that were named with the wish', async () => {
    const conversation = converse();
    expect(await conversation.say('Can I book something tomorrow at 10:30?')).toEqual([
      'Happy to. What would you like to book?',
    ]);
    expect(await conversation.say('A haircut')).toEqual([
      'Booked: A haircut, tomorrow, 10:30. See you then!',
    ]);
    expect(conversation.state).toEqual({ scheduling: { booking: haircut } });
  });

  it('does not ask for a time that was named with the day, nor for a day named before the service', async () => {
    const conversation = converse();
    expect(await conversation.say('an appointment on Monday, please')).toEqual([
      'Happy to. What would you like to book?',
    ]);
    expect(await conversation.say('Massage')).toEqual(['Monday, good. At what time?']);
    expect(await conversation.say('3 pm')).toEqual([
      'Booked: Massage, Monday, 3 pm. See you then!',
    ]);

    const another = converse();
    await another.say('book');
    await another.say('Massage');
    expect(await another.say('Tuesday at noon')).toEqual([
      'Booked: Massage, Tuesday, noon. See you then!',
    ]);
  });

  it('does not take a time written with a dot for a day', async () => {
    const conversation = converse();
    await conversation.say('Can I book something at 10.30 tomorrow?');
    expect(await conversation.say('A haircut')).toEqual([
      'Booked: A haircut, tomorrow, 10.30. See you then!',
    ]);
  });

  it.each([
    ['today', '9:00'],
    ['2026-12-01', '14.45'],
    ['this Wednesday', "5 o'clock"],
    ['3/12', '11 am'],
    ['Dec 24', 'midday'],
    ['some day in spring', 'in the evening'],
  ])('takes %s and %s as they were said', async (day, time) => {
    const conversation = converse();
    await conversation.say('book');
    await conversation.say('A haircut');
    await conversation.say(day);
    expect(await conversation.say(time)).toEqual([
      `Booked: A haircut, ${day}, ${time}. See you then!`,
    ]);
  });

  it('asks again when a message holds nothing', async () => {
    const conversation = converse();
    await conversation.say('book');
    expect(await conversation.say('   ')).toEqual(['Happy to. What would you like to book?']);
    expect(conversation.holder).toBe('scheduling');
  });

  it('shortens a long answer', async () => {
    const conversation = converse();
    await conversation.say('book');
    await conversation.say('x'.repeat(70_000));
    expect(conversation.state).toMatchObject({ scheduling: { service: 'x'.repeat(200) } });
  });

  it('shortens a long answer without cutting through an emoji', async () => {
    const conversation = converse();
    await conversation.say('book');
    expect(await conversation.say(`${'x'.repeat(199)}😀 and more`)).toEqual([
      expect.stringMatching(/Which day suits you\?$/),
    ]);
    expect(conversation.holder).toBe('scheduling');
  });

  it('begins a second booking afresh, and keeps the first until it is made', async () => {
    const conversation = converse({ scheduling: { booking: haircut } });
    expect(await conversation.say('book another')).toEqual([
      'Happy to. What would you like to book?',
    ]);
    await conversation.say('Massage');
    expect(conversation.state).toMatchObject({
      scheduling: { booking: haircut, service: 'Massage' },
    });
    await conversation.say('Friday', 'noon');
    expect(conversation.state).toEqual(booked('Massage', 'Friday', 'noon'));
  });

  it.each(['cancel', 'Start over'])(
    'on "%s" forgets what it asked for, lets go, and keeps what is booked',
    async (words) => {
      const conversation = converse({ scheduling: { booking: haircut } });
      await conversation.say('book another');
      await conversation.say('Massage');
      expect(await conversation.say(words)).toEqual(['All right, cancelled.']);
      expect(conversation.holder).toBeNull();
      expect(conversation.state).toEqual({ scheduling: { booking: haircut } });
    },
  );

  it('begins afresh on a state of an older version', async () => {
    const conversation = converse({ scheduling: { booking: 'A haircut tomorrow', asked: 'yes' } });
    expect(await conversation.say('book')).toEqual(['Happy to. What would you like to book?']);
    await conversation.say('A haircut', 'tomorrow', '10:30');
    expect(conversation.state).toEqual({ scheduling: { booking: haircut } });
  });

  it('keeps to itself what others noted down', async () => {
    const conversation = converse({ billing: { invoice: '17' }, theirs: { a: null } });
    await conversation.say('book', 'A haircut', 'tomorrow', '10:30');
    expect(conversation.state).toEqual({
      billing: { invoice: '17' },
      theirs: { a: null },
      scheduling: { booking: haircut },
    });
  });
});
