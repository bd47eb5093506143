import type { Storage } from '../storage.ts';
import { unsupported } from './unsupported.ts';

/** There are none: each would have to look at every device. */
export function figureOperations(): Pick<Storage, 'addCounts' | 'readMetrics' | 'readStats'> {
  const none = () => Promise.reject(unsupported('figures'));
  return {
    // a count may be lost, and here nobody could read it
    addCounts: () => Promise.resolve(),
    readMetrics: none,
    readStats: none,
  };
}
