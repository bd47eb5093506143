import { BatonError } from '../../errors.ts';
import type { SessionScope } from '../storage.ts';

/** What Redis has no index for; a repetition does not help. */
export const unsupported = (detail: string): BatonError => new BatonError('not_supported', detail);

/** @throws {BatonError} `not_supported`: sessions are found by their user and by their device alone */
export function assertOfSomebody({ user, device }: Pick<SessionScope, 'user' | 'device'>): void {
  if (user !== null || device !== null) return;
  throw unsupported('Sessions are listed by user or by device while everything is kept in Redis');
}
