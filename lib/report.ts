import { count, type Label } from './counters.ts';
import { log } from './log.ts';
import type { Turn } from './storage/storage.ts';

/** Says what became of a turn, in the log and in the figures; its time counts from here. */
export function reporter(turn: Turn) {
  const started = performance.now();
  return (
    outcome: Label<'turns'>,
    agent: string | null,
    more: Record<string, unknown> = {},
  ): void => {
    count('turns', outcome);
    log(outcome === 'answered' ? 'info' : 'warn', 'turn', {
      channel: turn.channel,
      device_id: turn.device,
      agent,
      outcome,
      messages: turn.messages.length,
      duration_ms: Math.round(performance.now() - started),
      ...more,
    });
  };
}
