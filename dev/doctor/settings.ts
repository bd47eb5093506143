import type { Config } from '../../lib/config.ts';
import { type Finding, note, ok, todo } from './finding.ts';

/** Who may call, and who may clean up. Production refuses what open mode lets pass. */
export function checkAccess(config: Config): Finding[] {
  const missing = config.production ? todo : note;
  const fresh = '"npm run secrets" prints one';
  return [
    config.apiKeys.length > 0
      ? ok('keys', `${config.apiKeys.length} of API_KEYS`)
      : missing(
          'keys',
          `API_KEYS is not set: every route is open, and production refuses all calls; ${fresh}`,
        ),
    config.deviceTokenSecrets.length > 0
      ? ok('device tokens', 'DEVICE_TOKEN_SECRET is set')
      : missing(
          'device tokens',
          `DEVICE_TOKEN_SECRET is not set: production refuses all calls; ${fresh}`,
        ),
    config.cronSecrets.length > 0
      ? ok('cron', 'CRON_SECRET is set')
      : missing('cron', `CRON_SECRET is not set: a deployment's clean-up is refused; ${fresh}`),
  ];
}
