import * as z from 'zod/mini';
import { defineAgent } from '../agent.ts';
import { plainText } from '../plain-text.ts';

const WORDS =
  /\b(invoices?|bills?|billing|billed|refunds?|refunded|charged?|overcharged|payments?|receipts?)\b/;
/** An invoice number has a digit: "INV-2041", "2041", "A/17". */
const NUMBER = /(?:^|[\s#:])((?:[a-z]{1,5}[-/])?\d[\w/-]{0,19})\b/i;

/** Asks for the invoice number, notes it down for somebody to look into, and lets go. */
export const billing = defineAgent({
  key: 'billing',
  description: 'Looks into invoices, bills and refunds',
  ttlSeconds: 3_600,
  state: z.object({ asked: z.optional(z.boolean()), invoice: z.optional(z.string()) }),
  takesBlank: true,
  matches: (text) => WORDS.test(plainText(text)),
  answer(turn) {
    const invoice = NUMBER.exec(turn.text)?.[1];
    if (invoice === undefined) {
      turn.reply(
        turn.state.asked === true
          ? 'I need the number that stands on the invoice, such as 2041.'
          : 'What is the invoice number?',
      );
      turn.setState({ asked: true });
      return;
    }
    turn.setState({ invoice, asked: null });
    turn.reply(`Thank you. Invoice ${invoice} is noted, and we will get back to you about it.`);
    turn.end();
  },
});
