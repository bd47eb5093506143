import { csvRecord } from './csv.ts';
import { inOrder } from './json.ts';
import type {
  ChatSession,
  ExportItem,
  ExportPlace,
  ExportScope,
  Message,
  Storage,
} from './storage/storage.ts';

/** Rows that one statement brings: an export holds one part in memory at a time, however long it is. */
const ROWS = 500;

/** How an export is written down: the same messages as records for programs, for spreadsheets and for people. */
interface Format {
  mediaType: string;
  head: string;
  /** Left out: what is exported are messages, and the sessions show in them. */
  session?: (session: ChatSession) => string;
  message: (message: Message, session: string) => string;
}

export const formats = {
  jsonl: {
    mediaType: 'application/x-ndjson; charset=utf-8',
    head: '',
    session: (session) =>
      jsonLine({
        type: 'session',
        ...sessionRecord({ ...session, metadata: inOrder(session.metadata) }),
      }),
    message: (message, session) =>
      jsonLine({ type: 'message', ...messageRecord(message, session) }),
  },
  csv: {
    mediaType: 'text/csv; charset=utf-8',
    head: csvRecord([
      'session_id',
      'id',
      'message_id',
      'role',
      'agent',
      'content',
      'timestamp',
      'metadata',
    ]),
    message: (message, session) =>
      csvRecord([
        session,
        message.id,
        message.messageId ?? '',
        message.role,
        message.agent ?? '',
        message.content,
        message.sentAt.toISOString(),
        JSON.stringify(inOrder(message.metadata)),
      ]),
  },
  md: {
    mediaType: 'text/markdown; charset=utf-8',
    head: '',
    session: ({ id, user, createdAt }) =>
      `# Chat session ${id}\n\nBegun ${createdAt.toISOString()}${user === null ? '' : ` by ${JSON.stringify(user)}`}\n\n`,
    // quoted, so that no text can pass for the next message
    message: ({ role, agent, content, sentAt }) =>
      `**${role}**${agent === null ? '' : ` (${agent})`}, ${sentAt.toISOString()}\n\n${content.replaceAll(/^/gm, '> ')}\n\n`,
  },
} satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

const jsonLine = (record: object) => `${JSON.stringify(record)}\n`;

/** A session as callers see it. */
export const sessionRecord = <Metadata>(
  session: Omit<ChatSession, 'metadata'> & { metadata: Metadata },
) => ({
  session_id: session.id,
  device_id: session.device,
  user_id: session.user,
  channel: session.channel,
  metadata: session.metadata,
  complete: session.complete,
  message_count: session.messageCount,
  created_at: session.createdAt,
  last_activity: session.lastActivity,
  expires_at: session.expiresAt,
});

const messageRecord = (message: Message, session: string) => ({
  session_id: session,
  id: message.id,
  message_id: message.messageId,
  role: message.role,
  agent: message.agent,
  content: message.content,
  timestamp: message.sentAt,
  metadata: inOrder(message.metadata),
});

/**
 * Everything that was said in a session, or in all sessions of a user or device, part after part. Of several sessions
 * each is named before its messages; an export of one is its messages alone, but for people.
 *
 * @throws {BatonError} `storage_unavailable`, also in the middle
 */
export async function* exportText(
  { storage }: { storage: Storage },
  of: ExportScope,
  name: FormatName,
): AsyncGenerator<string, void> {
  const format: Format = formats[name];
  const isNamed = !('session' in of) || name === 'md';
  const write = (item: ExportItem): string => {
    if ('message' in item) return format.message(item.message, item.at.session);
    return isNamed ? (format.session?.(item.session) ?? '') : '';
  };
  let written = format.head;
  for (let after: ExportPlace | null = null; ;) {
    const items: ExportItem[] = await storage.readExport(of, after, ROWS);
    yield written + items.map(write).join('');
    written = '';
    after = items.at(-1)?.at ?? null;
    if (after === null) return;
  }
}
