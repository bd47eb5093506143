import { BatonError } from '../../errors.ts';
import type { SessionScope } from '../storage.ts';

/** @returns `not_supported`; a repetition does not help. */
export const unsupported = (what: string): BatonError =>
  new BatonError(
    'not_supported',
    `Everything is kept in Redis, which has no ${what}; set STORAGE to postgres for it`,
  );

/** @throws {BatonError} `not_supported`: sessions are found by their user and by their device alone */
export function assertOfSomebody({ user, device }: Pick<SessionScope, 'user' | 'device'>): void {
  if (user === null && device === null) throw unsupported('list of everybody');
}
