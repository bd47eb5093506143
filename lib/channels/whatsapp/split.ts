/** Characters of a text message. UTF-16 units, the most that any reading of Meta's "characters" counts. */
const TEXT_LIMIT = 4_096;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const sentences = new Intl.Segmenter(undefined, { granularity: 'sentence' });

/**
 * A long text in parts of at most `limit` UTF-16 units, none of them blank: cut between paragraphs where that leaves
 * at least half a part, else between lines, sentences, words, and in a text without any between graphemes. Of the
 * text only the white space around the cuts is lost.
 */
export function splitText(text: string, limit = TEXT_LIMIT): string[] {
  const parts: string[] = [];
  let rest = text;
  while (rest.length > limit) {
    const cut = findCut(rest, limit);
    const part = rest.slice(0, cut).trimEnd();
    if (part !== '') parts.push(part);
    rest = rest.slice(cut).trimStart();
  }
  if (rest.trim() !== '' || parts.length === 0) parts.push(rest);
  return parts;
}

/** Where the first part ends: after at most `limit` units, and always after at least one. */
function findCut(text: string, limit: number): number {
  const most = clusterStart(text, limit);
  const head = text.slice(0, most);
  // a white space right behind the head ends a word as well as one within
  const wordEnd = /\s/.test(text.charAt(most)) ? most : lastEnd(head, /\s/g);
  for (const cut of [
    lastEnd(head, /\n\s*\n/g),
    lastEnd(head, /\n/g),
    sentences.segment(head).containing(most - 1)?.index ?? 0,
    wordEnd,
  ]) {
    if (cut >= limit / 2) return cut;
  }
  return most;
}

/** Where the last match ends; 0: there is none. */
function lastEnd(text: string, pattern: RegExp): number {
  let end = 0;
  for (const match of text.matchAll(pattern)) end = match.index + match[0].length;
  return end;
}

/** The last place at or before `index` where no grapheme is cut; of one that is longer, the last whole character. */
function clusterStart(text: string, index: number): number {
  const start = graphemes.segment(text).containing(index)?.index ?? index;
  if (start > 0) return start;
  const isPair = /[\uDC00-\uDFFF]/.test(text.charAt(index)) && index > 1;
  return isPair ? index - 1 : index;
}
