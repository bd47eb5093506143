import { checkHealth } from '../lib/health.ts';
import { json, route } from '../lib/http/route.ts';

// vercel.json sends every unknown path here too: a path that is not this one gets the 404 all routes share.
export const { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS } = route('/api/health', {
  async GET({ app }) {
    const health = await checkHealth(app.storage, app.pingCache);
    return json(health.status === 'down' ? 503 : 200, health);
  },
});
