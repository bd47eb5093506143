import * as z from 'zod/mini';
import type {
  ChatSession,
  DeviceId,
  FoundSession,
  ListedSession,
  SnippetPart,
} from '../storage.ts';
import { document, time } from './rows.ts';

// Chat sessions as functions/baton_session_view_v1.sql and its callers return them.

const sessionFields = {
  session_id: z.string(),
  device_id: z.string(),
  user_id: z.nullable(z.string()),
  channel: z.string(),
  complete: z.boolean(),
  message_count: z.number(),
  created_at: time,
  last_activity: time,
  expires_at: time,
};
const wholeRow = z.object({ ...sessionFields, metadata: document });
const listedRow = z.object({ ...sessionFields, metadata: z.nullable(document) });
const foundRow = z.object({
  ...sessionFields,
  metadata: z.nullable(document),
  rank: z.number(),
  matches: z.array(z.object({ message_id: z.string(), snippet: z.string() })),
});

function toSession<Metadata>({
  session_id: id,
  device_id: device,
  user_id: user,
  message_count: messageCount,
  created_at: createdAt,
  last_activity: lastActivity,
  expires_at: expiresAt,
  channel,
  complete,
  metadata,
}: Omit<z.output<typeof listedRow>, 'metadata'> & { metadata: Metadata }) {
  return {
    id,
    device: device as DeviceId,
    user,
    channel,
    metadata,
    complete,
    messageCount,
    createdAt,
    lastActivity,
    expiresAt,
  };
}

/** Hits stand between U+0002 and U+0003, which the text itself does not hold. */
function toParts(snippet: string): SnippetPart[] {
  return (
    snippet
      // oxlint-disable-next-line no-control-regex -- they are the marks
      .split(/(\u0002[^\u0003]*\u0003)/)
      .filter((text) => text !== '')
      .map((text) =>
        text.startsWith('\u0002') ? { text: text.slice(1, -1), hit: true } : { text, hit: false },
      )
  );
}

export const parseListed = (value: unknown): ListedSession[] =>
  z
    .array(listedRow)
    .parse(value ?? [])
    .map(toSession);

export const parseFound = (value: unknown): { session: FoundSession; rank: number }[] =>
  z
    .array(foundRow)
    .parse(value ?? [])
    .map(({ rank, matches, ...row }) => ({
      rank,
      session: {
        ...toSession(row),
        matches: matches.map((match) => ({
          messageId: match.message_id,
          snippet: toParts(match.snippet),
        })),
      },
    }));

export function parseSession(value: unknown): ChatSession | null {
  const row = z.nullable(wholeRow).parse(value ?? null);
  return row === null ? null : toSession(row);
}
