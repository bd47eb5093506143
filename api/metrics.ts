import { readQuery } from '../lib/http/chat-fields.ts';
import { type Call, json, routes } from '../lib/http/route.ts';
import { statsQuery } from '../lib/http/stats-fields.ts';
import { MEDIA_TYPE, toPrometheus } from '../lib/metrics.ts';
import { statsRecord } from '../lib/stats.ts';

async function metrics({ app }: Call): Promise<Response> {
  const text = toPrometheus(await app.storage.readMetrics());
  return new Response(text, { headers: { 'content-type': MEDIA_TYPE } });
}

async function stats({ app, url }: Call): Promise<Response> {
  const { since } = readQuery(statsQuery, url);
  const found = await app.storage.readStats(since === undefined ? null : new Date(since));
  return json(200, statsRecord(found));
}

// vercel.json sends /api/chat/stats here too.
export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = routes({
  '/api/metrics': { GET: metrics },
  '/api/chat/stats': { GET: stats },
});
