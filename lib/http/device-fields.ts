import * as z from 'zod/mini';

/** What POST /api/device takes: nothing, or a token of the deployer's identity provider that says who is logged in. */
export const deviceBody = z.object({
  user_token: z.optional(z.string().check(z.minLength(1), z.maxLength(16_384))),
});
