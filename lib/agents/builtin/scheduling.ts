import * as z from 'zod/mini';
import { defineAgent } from '../agent.ts';
import { plainText } from '../plain-text.ts';

const WORDS =
  /\b(book|books|booked|booking|schedule|scheduled|scheduling|reschedule|appointments?|reserve|reservation|slot)\b/;
const DAY =
  /\b(today|tomorrow|(?:next |this |on )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{4}-\d{2}-\d{2}|\d{1,2}\/\d{1,2}(?:\/\d{2,4})?|\d{1,2}\.\d{1,2}\.(?:\d{2,4})?|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{1,2})\b/i;
const TIME =
  /\b((?:[01]?\d|2[0-3])[:.][0-5]\d(?: ?[ap]m)?|(?:1[0-2]|[1-9]) ?(?:am|pm|o'clock)|noon|midday)\b/i;
const booking = z.object({ service: z.string(), day: z.string(), time: z.string() });

type Slots = { service?: string | undefined; day?: string | undefined; time?: string | undefined };

/** Takes one message as the answer to the first open question, after anything it names by itself. */
function fill(slots: Slots, text: string, asked: boolean): Slots {
  const filled = { ...slots };
  filled.day ??= DAY.exec(text)?.[1]?.replace(/^on /i, '');
  filled.time ??= TIME.exec(text)?.[1];
  const named = filled.day !== slots.day || filled.time !== slots.time;
  if (asked && !named) {
    const open = (['service', 'day', 'time'] as const).find((slot) => filled[slot] === undefined);
    if (open !== undefined) filled[open] = text.trim().slice(0, 200).toWellFormed();
  }
  return filled;
}

/** Asks for service, day and time, one after the other, confirms, keeps the booking and lets go. */
export const scheduling = defineAgent({
  key: 'scheduling',
  description: 'Books, moves and cancels appointments',
  ttlSeconds: 3_600,
  state: z.object({
    asked: z.optional(z.boolean()),
    service: z.optional(z.string()),
    day: z.optional(z.string()),
    time: z.optional(z.string()),
    booking: z.optional(booking),
  }),
  takesBlank: true,
  matches: (text) => WORDS.test(plainText(text)),
  cancel(turn) {
    turn.setState({ asked: null, service: null, day: null, time: null });
  },
  answer(turn) {
    let slots: Slots = { service: turn.state.service, day: turn.state.day, time: turn.state.time };
    let asked = turn.state.asked === true;
    for (const message of turn.messages) {
      if (message.content.trim() !== '') slots = fill(slots, message.content, asked);
      // of several messages in one turn, what follows the wish goes on where it stopped
      asked ||= WORDS.test(plainText(message.content));
    }
    const { service, day, time } = slots;
    if (service !== undefined && day !== undefined && time !== undefined) {
      turn.setState({
        asked: null,
        service: null,
        day: null,
        time: null,
        booking: { service, day, time },
      });
      turn.reply(`Booked: ${service}, ${day}, ${time}. See you then!`);
      turn.end();
      return;
    }
    turn.setState({
      asked: true,
      ...(service !== undefined && { service }),
      ...(day !== undefined && { day }),
      ...(time !== undefined && { time }),
    });
    if (service === undefined) turn.reply('Happy to. What would you like to book?');
    else if (day === undefined) turn.reply(`${service}, fine. Which day suits you?`);
    else turn.reply(`${day}, good. At what time?`);
  },
});
