import * as z from 'zod/mini';

/** What POST /api/device takes: nothing, or a token of the deployer's identity provider that says who is logged in. */
export const deviceBody = z.object({
  user_token: z.optional(z.string().check(z.minLength(1), z.maxLength(16_384))),
});

/** What POST /api/device/link takes: nothing, to be given a code, or the code another device was given. */
export const linkBody = z.object({
  code: z.optional(z.string().check(z.regex(/^\d{6}$/, 'expected six digits'))),
});
