import * as z from 'zod/mini';
import { agentName, sessionTtl } from './fields.ts';

/** What PUT /api/lock takes. */
export const lockBody = z.object({ agent: agentName, session_ttl: z.optional(sessionTtl) });
