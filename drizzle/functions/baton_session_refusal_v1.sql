-- Why a chat session takes no message at p_now: session_not_found (unknown, deleted or over), session_complete; null:
-- it takes it. VOLATILE: it must see what the calling function has just written.
CREATE OR REPLACE FUNCTION baton_session_refusal_v1(p_session uuid, p_now timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  t chat_sessions;
BEGIN
  SELECT * INTO t FROM chat_sessions c WHERE c.session_id = p_session;
  RETURN CASE WHEN t.session_id IS NULL OR t.expires_at <= p_now THEN 'session_not_found' WHEN t.complete THEN 'session_complete' END;
END $$;
