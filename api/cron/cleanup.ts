import { cleanUp } from '../../lib/cleanup.ts';
import { BatonError } from '../../lib/errors.ts';
import { bearerOf } from '../../lib/http/access.ts';
import { json, route } from '../../lib/http/route.ts';
import { matchesAny } from '../../lib/secrets.ts';

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route(
  { path: '/api/cron/cleanup', access: 'own-proof', sweeps: false },
  {
    async GET({ app, request, frame }) {
      if (!matchesAny(bearerOf(request.headers) ?? '', app.config.cronSecrets)) {
        throw new BatonError('unauthorized', 'Send CRON_SECRET as Authorization: Bearer');
      }
      const report = await cleanUp(app, frame);
      return json(200, {
        expired_locks: report.expiredLocks,
        expired_sessions: report.expiredSessions,
        purged_messages: report.purgedMessages,
        recovered_turns: report.recoveredTurns,
        resent_replies: report.resentReplies,
        duration_ms: report.durationMs,
        more: report.more,
      });
    },
  },
);
