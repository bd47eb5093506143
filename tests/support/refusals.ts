import { BatonError, type ErrorCode } from '../../lib/errors.ts';

/** The code a call is refused with; null where it is not. Anything but a refusal goes through. */
export function codeOf(call: () => unknown): ErrorCode | null {
  try {
    call();
    return null;
  } catch (error) {
    if (error instanceof BatonError) return error.code;
    throw error;
  }
}
