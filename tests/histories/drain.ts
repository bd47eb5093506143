import type pg from 'pg';
import type { Commit, DeviceId, Lane, Turn } from '../../lib/storage/storage.ts';
import { type Caller, type CallerOptions, openCaller } from './caller.ts';
import { replyTo } from './history.ts';
import { termsOf } from './worker.ts';

/** Looks for waiting turns at most so often; a round leaves some hundred. */
const MAX_LOOKS = 500;
/** Lease in milliseconds: nobody is in a hurry any more. */
const PATIENT = 60_000;

/**
 * Answers what still waits, as recovery and the clients' own questions would in the long run: leases and claims are
 * moved in time instead of waited for. What waits after that waits for ever.
 */
export async function drain(
  options: CallerOptions,
  admin: pg.Pool,
  devices: DeviceId[],
): Promise<void> {
  const caller = openCaller(options);
  try {
    for (let look = 0; look < MAX_LOOKS; look++) {
      await lapse(admin, devices);
      const { lane, ...terms } = termsOf('builtin', 20, PATIENT);
      const [recovered, asked] = [
        await caller.call('recover', terms),
        await caller.call('next', devices, termsOf('external', 20, PATIENT)),
      ];
      if (!recovered.known || !asked.known) continue;
      for (const turn of recovered.value.turns) await finish(caller, turn, lane);
      for (const turn of asked.value.turns) await finish(caller, turn, 'external');
      if (recovered.value.turns.length + asked.value.turns.length === 0) return;
    }
  } finally {
    await caller.close();
  }
}

async function lapse(admin: pg.Pool, devices: DeviceId[]): Promise<void> {
  await admin.query(
    `UPDATE conversation_states SET turn_expires_at = baton_now_v1()
     WHERE device_id = ANY ($1) AND turn_expires_at > baton_now_v1()`,
    [devices],
  );
  await admin.query(
    `UPDATE chat_messages SET claim_expires_at = baton_now_v1()
     WHERE device_id = ANY ($1) AND status IN ('pending', 'sending', 'unknown') AND claim_expires_at > baton_now_v1()`,
    [devices],
  );
}

async function finish(caller: Caller, first: Turn, lane: Lane): Promise<void> {
  for (let turn: Turn | null = first; turn !== null;) {
    turn = turn.replies.length > 0 ? await send(caller, turn) : await answer(caller, turn, lane);
  }
}

async function send(caller: Caller, { device, fence, replies }: Turn): Promise<Turn | null> {
  const deliveries = replies.map(({ id }) => ({ id, status: 'sent' as const }));
  const settled = await caller.call('settle', device, fence, deliveries, PATIENT);
  return settled.known ? (settled.value?.turn ?? null) : null;
}

async function answer(caller: Caller, turn: Turn, lane: Lane): Promise<Turn | null> {
  const { device, fence, messages } = turn;
  const contents = messages.map(({ messageId }) => replyTo(device, messageId ?? ''));
  const replies = contents.map((content) => ({ content, metadata: {}, agent: null }));
  const commit: Commit = { replies, deliver: false, lock: { do: 'keep' } };
  const result = await caller.call('commit', device, fence, lane, commit, PATIENT);
  return result.known && result.value.outcome === 'committed' ? result.value.turn : null;
}
