import { cleanUp } from '../../lib/cleanup.ts';
import { json, route } from '../../lib/http/route.ts';

export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/cron/cleanup', {
  async GET({ app, frame }) {
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
});
