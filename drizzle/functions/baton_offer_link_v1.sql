-- Gives a device's conversation a code by which another device may join it: the first of p_codes that no other has. The
-- one it had before is good no more. code null: others have them all.
CREATE OR REPLACE FUNCTION baton_offer_link_v1(p_device uuid, p_codes text[], p_ttl int)
RETURNS TABLE (now timestamptz, code text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_device uuid := baton_linked_v1(p_device);
  v_code text;
BEGIN
  PERFORM baton_replan_v1();
  INSERT INTO conversation_states (device_id) VALUES (v_device) ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = v_device FOR UPDATE;
  IF baton_linked_v1(p_device) <> v_device THEN
    RAISE EXCEPTION 'a link came between' USING ERRCODE = '40001';
  END IF;
  now := baton_now_v1();
  -- a few of those that are over, whosever they are: nothing else takes them away
  DELETE FROM link_codes l WHERE l.code_key = ANY (ARRAY(
    SELECT o.code_key FROM link_codes o WHERE o.expires_at <= now ORDER BY o.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED));
  DELETE FROM link_codes l WHERE l.device_id = v_device;
  FOREACH v_code IN ARRAY p_codes LOOP
    INSERT INTO link_codes (code_key, device_id, expires_at)
    VALUES (baton_link_key_v1(v_code), v_device, now + p_ttl * interval '1 s') ON CONFLICT DO NOTHING;
    IF FOUND THEN
      code := v_code;
      expires_at := now + p_ttl * interval '1 s';
      EXIT;
    END IF;
  END LOOP;
  RETURN NEXT;
END $$;
