import * as z from 'zod/mini';
import { document, messageId } from './fields.ts';

/** What POST /api/webhooks/web takes. */
export const webBody = z.object({
  message: z.string(),
  message_id: z.optional(messageId),
  metadata: z.optional(document),
});
