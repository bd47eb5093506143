import { byPlace, viewMessage } from './messages.ts';
import type { Synchronous } from './operations.ts';
import { type Memory, type Row, keyOf } from './tables.ts';
import { isHeld } from './turns.ts';

/** What became of a message. */
export function answerOperations({ tables, now: clock }: Memory): Pick<Synchronous, 'readAnswer'> {
  const externalIds = (rows: Row[]) => rows.flatMap(({ externalId }) => externalId ?? []);
  return {
    readAnswer(id, channel, messageId, account = id) {
      const now = clock();
      const device = tables.devices.get(id);
      const row = tables.keys.get(keyOf(channel, account, messageId));
      const message = row?.device === id ? row : undefined;
      const fence = message?.status === 'answered' ? message.fence : null;
      const replies = (device?.messages ?? []).filter(
        (reply) => reply.role === 'assistant' && fence !== null && reply.fence === fence,
      );
      return {
        now: new Date(now),
        message:
          message === undefined
            ? null
            : {
                id: String(message.id),
                sessionId: message.session,
                content: message.content,
                status: message.status,
                holder: message.holder,
              },
        replies: replies.toSorted(byPlace).map((reply) => ({
          ...viewMessage(reply),
          answers: externalIds(reply.answers.toSorted(byPlace)),
        })),
        free: device === undefined || !isHeld(device, now),
      };
    },
  };
}
