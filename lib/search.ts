import { BatonError } from './errors.ts';
import { storableText } from './json.ts';
import type {
  FoundPage,
  FoundPlace,
  SessionScope,
  SnippetPart,
  Storage,
} from './storage/storage.ts';

/** Sessions on a page, whatever is asked for: each of them costs up to five snippets. */
const LONGEST_PAGE = 100;

/**
 * Chat sessions in which a message has the words, the best first: `refund "bank account" -paypal`. Accents do not matter.
 *
 * @throws {BatonError} `invalid_request` for words to be left out and none to look for, among everybody's messages
 */
export async function findSessions(
  { storage }: { storage: Storage },
  words: string,
  scope: SessionScope,
  after: FoundPlace | null,
  limit: number,
): Promise<FoundPage> {
  const most = Math.min(limit, LONGEST_PAGE);
  const page = await storage.searchSessions(storableText(words), scope, after, most);
  if (page === null) {
    throw new BatonError('invalid_request', 'Name a word that must occur, or whose messages', [
      { path: 'q', message: 'needs a word without a minus' },
    ]);
  }
  return page;
}

/** A snippet as HTML: the hits marked, and nothing else in it that a page would take for HTML. */
export function toHtml(parts: readonly SnippetPart[]): string {
  return parts
    .map(({ text, hit }) => (hit ? `<mark>${escapeHtml(text)}</mark>` : escapeHtml(text)))
    .join('');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
