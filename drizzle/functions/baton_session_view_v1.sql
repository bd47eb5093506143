-- A chat session as callers see it. In a list (p_whole false) its metadata only up to 4 kB, else null: a page holds a
-- hundred of them. The stored size is looked at first, for which nothing has to be unpacked.
CREATE OR REPLACE FUNCTION baton_session_view_v1(p_session chat_sessions, p_whole boolean) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'session_id', p_session.session_id,
    'device_id', p_session.device_id,
    'user_id', p_session.user_id,
    'channel', p_session.channel,
    'metadata', CASE WHEN p_whole THEN p_session.metadata
      WHEN pg_column_size(p_session.metadata) > 4096 OR octet_length(p_session.metadata::text) > 4096 THEN NULL
      ELSE p_session.metadata END,
    'complete', p_session.complete,
    'message_count', p_session.message_count,
    'created_at', p_session.created_at,
    'last_activity', p_session.last_activity,
    'expires_at', p_session.expires_at)
$$;
