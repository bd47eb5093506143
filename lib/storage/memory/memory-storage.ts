import { createHmac, randomBytes } from 'node:crypto';
import type { StorageLimits } from '../limits.ts';
import type { DeviceId, Storage } from '../storage.ts';
import { answerOperations } from './answers.ts';
import { upkeepOperations } from './clean-up.ts';
import { sessionOperations } from './chat-sessions.ts';
import { commitOperations } from './commits.ts';
import { deliveryOperations } from './deliveries.ts';
import { deviceOperations } from './devices.ts';
import { erasingOperations } from './erasing.ts';
import { failedOperations } from './failed.ts';
import { figureOperations } from './figures.ts';
import { grantOperations } from './grants.ts';
import { historyOperations } from './histories.ts';
import { leaseOperations } from './leases.ts';
import { linkingOperations } from './linking.ts';
import { lockOperations } from './locks.ts';
import { asStorage } from './operations.ts';
import { searchOperations } from './search.ts';
import { stateOperations } from './states.ts';
import { statusOperations } from './statuses.ts';
import { emptyTables, type Memory } from './tables.ts';

/**
 * Baton in plain maps: for a try without a database, and as the model the other storages are held against, where
 * being plainly right comes before being fast. It forgets everything when the process ends, and nobody else sees it.
 *
 * @param parts a test's own tables, clock, or devices of new identities
 */
export function createMemoryStorage(
  limits: StorageLimits,
  { tables = emptyTables(), now = Date.now, deviceOf = deviceNamer() }: Partial<Memory> = {},
): Storage {
  const memory: Memory = { limits, tables, now, deviceOf };
  return asStorage({
    ...lockOperations(memory),
    ...stateOperations(memory),
    ...grantOperations(memory),
    ...leaseOperations(memory),
    ...commitOperations(memory),
    ...deliveryOperations(memory),
    ...statusOperations(memory),
    ...answerOperations(memory),
    ...failedOperations(memory),
    ...sessionOperations(memory),
    ...historyOperations(memory),
    ...searchOperations(memory),
    ...deviceOperations(memory),
    ...figureOperations(memory),
    ...linkingOperations(memory),
    ...erasingOperations(memory),
    ...upkeepOperations(memory),
  });
}

/** A UUID version 8 (RFC 9562, 5.8) made of an HMAC under a key of this process alone. */
function deviceNamer(): Memory['deviceOf'] {
  const key = randomBytes(32);
  return (identity) => {
    const hash = createHmac('sha256', key).update(identity).digest('hex');
    const variant = '89ab'[parseInt(hash.charAt(16), 16) % 4];
    const groups = [
      hash.slice(0, 8),
      hash.slice(8, 12),
      `8${hash.slice(13, 16)}`,
      `${variant}${hash.slice(17, 20)}`,
      hash.slice(20, 32),
    ];
    return groups.join('-') as DeviceId;
  };
}
