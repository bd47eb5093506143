import type { ExportItem, ExportPlace } from '../storage.ts';
import { sessionInReach, sessionsIn, viewSession } from './chat-sessions.ts';
import { bytesIn, byPlace, fitting, viewMessage } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { type Memory, messagesIn, type Row, type Session, type Tables } from './tables.ts';

/** Bytes of one part of an export. */
const PART = 1024 * 1024;

/** What was said in chat sessions. */
export function historyOperations({
  tables,
  now: clock,
}: Memory): Pick<Synchronous, 'readHistory' | 'readExport'> {
  return {
    readHistory(id, reach, before, limit) {
      const now = clock();
      const session = sessionInReach(tables, id, reach, now);
      if (session === null) return { now: new Date(now), history: null };
      const said = saidIn(tables, session).filter(
        ({ seq }) => before === null || (seq ?? 0) < Number(before),
      );
      const part = fitting(said.toReversed().slice(0, limit), 4, 1).toReversed();
      const older = part.length > 0 && part.length < said.length ? String(part[0]?.seq) : null;
      const history = { messages: part.map(viewMessage), total: session.messageCount, older };
      return { now: new Date(now), history };
    },
    readExport(of, after, limit) {
      const sessions =
        'session' in of
          ? [...tables.sessions.values()].filter(({ id }) => id === of.session)
          : sessionsIn(tables, { ...of, active: null }, clock());
      const items: ExportItem[] = [];
      let bytes = 0;
      for (const { item, size } of sessions
        .toSorted(byBegin)
        .flatMap((one) => rowsOf(tables, one))) {
        if (!isBehind(item.at, after)) continue;
        items.push(item);
        bytes += size;
        if (items.length >= limit || bytes >= PART) break;
      }
      return items;
    },
  };
}

/** In order. */
const saidIn = (tables: Tables, session: Session): Row[] =>
  messagesIn(tables, session)
    .filter(({ seq }) => seq !== null)
    .toSorted(byPlace);

const byBegin = (a: Session, b: Session): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);

/** A session, and after it what was said in it. */
function rowsOf(tables: Tables, session: Session): { item: ExportItem; size: number }[] {
  const at = (seq: number | null) => ({
    begun: new Date(session.createdAt),
    session: session.id,
    seq: String(seq),
  });
  const messages = saidIn(tables, session).map((row) => ({
    item: { at: at(row.seq), message: viewMessage(row) },
    size: bytesIn(row),
  }));
  return [{ item: { at: at(0), session: viewSession(session) }, size: 0 }, ...messages];
}

function isBehind(at: ExportPlace, after: ExportPlace | null): boolean {
  if (after === null) return true;
  const later = at.begun.getTime() - after.begun.getTime();
  if (later !== 0) return later > 0;
  return at.session === after.session
    ? Number(at.seq) > Number(after.seq)
    : at.session > after.session;
}
