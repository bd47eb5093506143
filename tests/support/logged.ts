import { beforeEach } from 'vitest';
import { type LogEvent, setLogLevel, setSink } from '../../lib/log.ts';

/** Everything logged since the running test began; nothing goes to standard output. */
export function captureLog(): LogEvent[] {
  const events: LogEvent[] = [];
  beforeEach(() => {
    events.length = 0;
    setLogLevel('debug');
    setSink((event) => events.push(event));
  });
  return events;
}
