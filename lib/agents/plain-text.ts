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

const CANCELS = /^(?:please )?(?:cancel(?: (?:that|this|it))?|start over)(?: please)?$/;

/** Whether somebody wants out of the conversation with whoever holds it. */
export function isCancel(text: string): boolean {
  const words = plainText(text)
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  return CANCELS.test(words);
}
