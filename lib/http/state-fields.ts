import * as z from 'zod/mini';
import { document } from './fields.ts';

/** What PUT /api/state takes; PATCH takes the patch itself. */
export const stateBody = z.object({ state: document });
