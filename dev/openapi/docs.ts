import type { OperationName } from './doc.ts';
import type { Doc } from './doc.ts';
import { chatDocs } from './docs-chat.ts';
import { deviceDocs } from './docs-device.ts';
import { webhookDocs } from './docs-webhooks.ts';
import { turnDocs } from './docs-turn.ts';

/** Every operation; one that is in the table and not here does not compile. */
export const docs: Readonly<Record<OperationName, Doc>> = {
  ...deviceDocs,
  ...turnDocs,
  ...chatDocs,
  ...webhookDocs,
};
