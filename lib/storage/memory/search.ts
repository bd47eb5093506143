import type {
  FoundPlace,
  ListedSession,
  ListPlace,
  SessionScope,
  SnippetPart,
} from '../storage.ts';
import { bytesOf, sessionsIn, viewSession } from './chat-sessions.ts';
import type { Synchronous } from './operations.ts';
import { type Memory, messagesIn, type Row, type Session } from './tables.ts';

/** Bytes of metadata that a list brings along. */
const LISTED_METADATA = 4_096;
/** Words of a snippet. */
const SNIPPET = 30;

/** Chat sessions by whose they are, and by what was said in them. */
export function searchOperations(
  memory: Memory,
): Pick<Synchronous, 'listSessions' | 'searchSessions'> {
  const { tables, now: clock } = memory;
  const inScope = (scope: SessionScope, now: number) =>
    sessionsIn(tables, scope, now).toSorted(latestFirst);
  return {
    listSessions(scope, after, limit) {
      const now = clock();
      const all = inScope(scope, now);
      const rest = all.filter((session) => after === null || isBehind(session, after));
      const page = rest.slice(0, limit);
      const last = rest.length > limit ? page.at(-1) : undefined;
      return {
        now: new Date(now),
        sessions: page.map(viewListed),
        total: all.length,
        next: last === undefined ? null : placeOf(last),
      };
    },
    searchSessions(words, scope, after, limit) {
      const now = clock();
      const query = parseQuery(words);
      const isEverybody = scope.user === null && scope.device === null;
      if (isEverybody && query.some((phrases) => phrases.every(({ not }) => not))) return null;
      const all = inScope(scope, now)
        .map((session) => find(memory, session, query))
        .filter(({ hits }) => hits.length > 0)
        .toSorted((a, b) => b.rank - a.rank);
      const rest = all.filter(
        ({ session, rank }) =>
          after === null || rank < after.rank || (rank === after.rank && isBehind(session, after)),
      );
      const page = rest.slice(0, limit);
      const last = rest.length > limit ? page.at(-1) : undefined;
      return {
        now: new Date(now),
        sessions: page.map(({ session, hits }) => ({
          ...viewListed(session),
          matches: hits.slice(0, 5).map(({ row }) => ({
            messageId: String(row.id),
            snippet: snippetOf(row.content, query),
          })),
        })),
        total: all.length,
        partial: false,
        next: last === undefined ? null : { rank: last.rank, ...placeOf(last.session) },
      };
    },
  };
}

export const latestFirst = (a: Session, b: Session): number =>
  b.lastActivity - a.lastActivity || (a.id < b.id ? 1 : -1);

const placeOf = ({ lastActivity, id }: Session): ListPlace => ({
  lastActivity: new Date(lastActivity),
  id,
});

function isBehind({ lastActivity, id }: Session, after: ListPlace | FoundPlace): boolean {
  const at = after.lastActivity.getTime();
  return lastActivity < at || (lastActivity === at && id < after.id);
}

export function viewListed(session: Session): ListedSession {
  const { metadata, ...rest } = viewSession(session);
  return { ...rest, metadata: bytesOf(metadata) > LISTED_METADATA ? null : metadata };
}

/** Words in a row that must occur, or (`not`) must not. */
interface Phrase {
  words: string[];
  not: boolean;
}

/** What is joined by dots, as the name of a host is, is one. */
const WORD = /[\p{L}\p{M}\p{N}]+(?:\.[\p{L}\p{M}\p{N}]+)*/gu;
/** Letters that are more than a plain one and a mark. */
const PLAIN: ReadonlyMap<string, string> = new Map(
  Object.entries({ đ: 'd', ð: 'd', ł: 'l', ø: 'o', ß: 'ss', æ: 'ae', œ: 'oe', ı: 'i', þ: 'th' }),
);

/** In lower case and without accents. */
const fold = (text: string): string =>
  text
    .toLowerCase()
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[đðłøßæœıþ]/g, (letter) => PLAIN.get(letter) ?? letter);
const wordsIn = (text: string): string[] => fold(text).match(WORD) ?? [];

/** `refund "bank account" -paypal or voucher`: what is looked for in a message, or else. */
function parseQuery(text: string): Phrase[][] {
  const alternatives: Phrase[][] = [[]];
  for (const [, minus, quoted, word = ''] of text.matchAll(/(-?)(?:"([^"]*)"|(\S+))/g)) {
    if (word.toLowerCase() === 'or') alternatives.push([]);
    const words = word.toLowerCase() === 'or' ? [] : wordsIn(quoted ?? word);
    if (words.length > 0) alternatives.at(-1)?.push({ words, not: minus === '-' });
  }
  return alternatives.filter((phrases) => phrases.length > 0);
}

/** The messages of a session that fit, the best first. */
function find({ tables }: Memory, session: Session, query: Phrase[][]) {
  const hits = messagesIn(tables, session)
    .filter(({ status }) => status !== 'erased')
    .map((row) => ({ row, rank: Math.max(0, ...query.map((phrases) => rankOf(row, phrases))) }))
    .filter(({ rank }) => rank > 0)
    .toSorted((a, b) => b.rank - a.rank || b.row.id - a.row.id);
  return { session, hits, rank: hits[0]?.rank ?? 0 };
}

/** How often the phrases occur, among how many words; 0: the message does not fit. */
function rankOf({ content }: Row, phrases: Phrase[]): number {
  const words = wordsIn(content);
  const counts = phrases.map(({ words: phrase, not }) => {
    const count = words.filter((_, i) => phrase.every((word, k) => words[i + k] === word)).length;
    return not ? Number(count === 0) : count;
  });
  const fits = counts.every((count) => count > 0);
  return fits ? counts.reduce((sum, count) => sum + count, 0) / (words.length + 1) : 0;
}

/** A piece of the text around the first hit. */
function snippetOf(content: string, query: Phrase[][]): SnippetPart[] {
  const phrases = query.flat().filter(({ not }) => !not);
  const wanted = new Set(phrases.flatMap(({ words }) => words));
  const text = content.replaceAll('\u0002', '').replaceAll('\u0003', '');
  const words = [...text.matchAll(WORD)];
  const isHit = ([word]: RegExpExecArray) => wordsIn(word).some((one) => wanted.has(one));
  const first = Math.max(0, words.findIndex(isHit) - SNIPPET / 2);
  const shown = words.slice(first, first + SNIPPET);
  const parts: SnippetPart[] = [];
  let from = first === 0 ? 0 : (shown[0]?.index ?? 0);
  for (const word of shown.filter(isHit)) {
    parts.push({ text: text.slice(from, word.index), hit: false }, { text: word[0], hit: true });
    from = word.index + word[0].length;
  }
  const last = words[first + SNIPPET];
  parts.push({ text: text.slice(from, last?.index), hit: false });
  return parts.filter((part) => part.text !== '');
}
