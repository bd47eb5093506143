import type { Rule } from '../history.ts';
import type { Edit } from './plant.ts';

/** A defect as somebody might write it, and the promise it breaks. */
export interface Fault {
  breaks: Rule;
  edits: readonly Edit[];
}

/** Each a few words of SQL. Some strike now and then only, so that the rest goes on as if nothing were. */
export const faults: Readonly<Record<string, Fault>> = {
  'a double grant: a lease ends 50 ms early for whoever wants the turn': {
    breaks: 'holder',
    edits: [
      {
        in: 'baton_take_v1',
        find: 's.turn_expires_at > p_now THEN',
        put: "s.turn_expires_at > p_now + interval '50 ms' THEN",
      },
    ],
  },
  'a lost wake-up: one commit in four does not look whether more waits': {
    breaks: 'wake-up',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'IF NOT deliver THEN',
        put: 'IF NOT deliver AND random() < 0.75 THEN',
      },
    ],
  },
  'a fence that falls': {
    breaks: 'fence',
    edits: [
      {
        in: 'baton_take_v1',
        find: "v_fence := nextval('baton_versions');",
        put: "v_fence := nextval('baton_versions') - CASE WHEN random() < 0.03 THEN 40 ELSE 0 END;",
      },
    ],
  },
  'a second reply: a commit that is sent again writes again': {
    breaks: 'answer',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'IF s.committed_fence = p_fence AND s.committed_hash = v_hash THEN',
        put: 'IF false THEN',
      },
      {
        in: 'baton_commit_v1',
        find: ' AND s.turn_expires_at IS NOT NULL AND s.committed_fence IS DISTINCT FROM p_fence THEN',
        put: ' THEN',
      },
      {
        in: 'baton_commit_v1',
        find: "m.id = ANY (s.handed) AND m.device_id = p_device AND m.status = 'waiting'",
        put: "m.id = ANY (s.handed) AND m.device_id = p_device AND m.status IN ('waiting', 'answered')",
      },
      {
        in: 'baton_commit_v1',
        find: "committed_hash = v_hash, handed = '{}',",
        put: 'committed_hash = v_hash,',
      },
    ],
  },
  'a swallowed message: a commit answers all that waits, not what was handed over': {
    breaks: 'answer',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'm.id = ANY (s.handed) AND m.device_id = p_device',
        put: 'm.device_id = p_device',
      },
    ],
  },
  'an expired lock returned': {
    breaks: 'lock',
    edits: [{ in: 'baton_lock_view_v1', find: ' AND p_state.lock_expires_at > p_now', put: '' }],
  },
  'a cross-device write: one lock in ten moves at the next device': {
    breaks: 'device',
    edits: [
      {
        in: 'baton_move_lock_v1',
        find: '    updated_at = p_now\n  WHERE c.device_id = p_device;',
        put: `    updated_at = p_now
          WHERE c.device_id = (SELECT o.device_id FROM conversation_states o WHERE o.device_id >= p_device
            ORDER BY o.device_id OFFSET (random() < 0.1)::int LIMIT 1);`,
      },
    ],
  },
  'a gap: one commit in twenty leaves a number out': {
    breaks: 'order',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'last_seq = c.last_seq +',
        put: 'last_seq = c.last_seq + (random() < 0.05)::int +',
      },
    ],
  },
  'a worker that was overtaken and still writes': {
    breaks: 'fence',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'ELSIF s.turn_fence = p_fence',
        put: 'ELSIF s.turn_fence >= p_fence',
      },
    ],
  },
  'a clock that is read before the locks': {
    breaks: 'holder',
    edits: [
      {
        in: 'baton_accept_v1',
        find: 'v_now timestamptz;',
        put: 'v_now timestamptz := baton_now_v1();',
      },
      { in: 'baton_accept_v1', find: '  v_now := baton_now_v1();', put: '' },
    ],
  },
  'a lock that somebody moved since the grant, moved again': {
    breaks: 'lock',
    edits: [
      {
        in: 'baton_commit_v1',
        find: 'v_is_free := s.lock_version IS NOT DISTINCT FROM s.granted_lock_version;',
        put: 'v_is_free := true;',
      },
    ],
  },
  'a guard that every lock satisfies': {
    breaks: 'lock',
    edits: [
      {
        in: 'baton_set_lock_v1',
        find: "p_versions = '{}' OR s.lock_version = ANY (p_versions)",
        put: 'true',
      },
    ],
  },
  'a redelivery that passes for a new message': {
    breaks: 'answer',
    edits: [
      {
        in: 'baton_dedupe_key_v1',
        find: 'p_external_id)::text',
        put: 'p_external_id, floor(random() * 1.05))::text',
      },
    ],
  },
  'a reply that is sent again, though its fate was told': {
    breaks: 'delivery',
    edits: [
      {
        in: 'baton_settle_v1',
        find: "m.id = r.id AND m.device_id = p_device AND m.status = 'sending'",
        put: "m.id = r.id AND m.device_id = p_device AND m.status = 'sending' AND random() < 0.75",
      },
    ],
  },
  'a state that replaces what others wrote': {
    breaks: 'state',
    edits: [
      {
        in: 'baton_commit_v1',
        find: "baton_merge_patch_v1(c.state, p_commit -> 'state_patch')",
        put: "p_commit -> 'state_patch'",
      },
    ],
  },
  'code that answers for a person': {
    breaks: 'human',
    edits: [
      {
        in: 'baton_store_v1',
        find: "WHERE c.active_agent = 'human'",
        put: "WHERE c.active_agent = 'nobody'",
      },
    ],
  },
};
