import { BatonError } from '../errors.ts';
import type { Guard, Version } from '../storage/storage.ts';

const ETAG = /^"([1-9]\d{0,17})"$/;

/** The entity tag of a version, RFC 9110 8.8.3. */
export function etagOf(version: Version | null): Record<string, string> {
  return version === null ? {} : { etag: `"${version}"` };
}

/**
 * What a write asks for: `If-Match: "v"` (or a list of them, or `*`), `If-None-Match: *`, or nothing. A tag that
 * is weak or none of ours matches nothing (RFC 9110 13.1.1 compares strongly), so such a write is refused with 412.
 *
 * @throws {BatonError} `invalid_request` for a condition that cannot be kept; ignoring it would write unguarded
 */
export function readGuard(headers: Headers): Guard {
  const match = headers.get('if-match');
  const noneMatch = headers.get('if-none-match');
  if (noneMatch !== null && (noneMatch.trim() !== '*' || match !== null)) {
    throw new BatonError(
      'invalid_request',
      'Send If-None-Match on a write only as *, and not together with If-Match',
    );
  }
  if (noneMatch !== null) return { kind: 'absent' };
  if (match === null) return { kind: 'none' };
  if (match.trim() === '*') return { kind: 'present', versions: [] };
  const versions = match.split(',').map((tag) => ETAG.exec(tag.trim())?.[1] as Version | undefined);
  const ours = versions.filter((version) => version !== undefined);
  // no version is ever negative: this one asks for something, and nothing has it
  return { kind: 'present', versions: ours.length > 0 ? ours : ['-1' as Version] };
}
