import * as z from 'zod/mini';
import { isPlausibleTime } from './fields.ts';

/** What GET /api/chat/stats takes in its query: a time with its offset, or a day, which begins at midnight UTC. */
export const statsQuery = z.object({
  since: z.optional(
    z
      .union([z.iso.datetime({ offset: true }), z.iso.date()], {
        error: 'expected a time, such as 2026-11-21T00:00:00Z, or a day',
      })
      .check(z.refine(isPlausibleTime, 'expected a year from 1970 to 9999')),
  ),
});
