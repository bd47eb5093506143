import type { Message } from '../storage/storage.ts';

/**
 * A message as keywords are looked for in it: lower case, compatibility forms folded, and without the invisible
 * characters that people paste and spammers hide words with. For matching only, never for storing.
 */
export function plainText(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
    .trim();
}

/** Whether nothing can be seen of a text: empty, blanks, characters without a shape. */
export function isBlank(text: string): boolean {
  // the pattern of Braille without a dot is a blank too
  return plainText(text).replace(/[\p{Cc}\p{Cf}\p{Z}\u2800]/gu, '') === '';
}

/**
 * Whether there is nothing to answer in a message: no visible text, and nothing beside it, such as a picture, a place
 * or a tapped button, whose messages often have no text either.
 */
export function saysNothing({ content, metadata }: Pick<Message, 'content' | 'metadata'>): boolean {
  const isText = metadata['kind'] === 'text' || Object.keys(metadata).length === 0;
  return isText && isBlank(content);
}

const CANCELS = /^(?:please )?(?:cancel(?: (?:that|this|it))?|start over)(?: please)?$/;

/** Whether somebody wants out of the conversation with whoever holds it. */
export function isCancel(text: string): boolean {
  const words = plainText(text)
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  return CANCELS.test(words);
}
