-- Lets a device join the conversation a code opens. What the device had of its own stays where it is, for when it is
-- unlinked; devices that were linked to it follow. Sent again by the same device it gives the same.
-- outcome: linked; own (the code is its own); invalid (wrong, over, or used by another), which counts; too_many (p_tries
-- wrong ones of this device, or p_tries_all of all devices, within p_window seconds), whatever the code.
-- Lock order: identities, state rows by device; then the advisory lock, behind which wrong tries are counted one by one.
CREATE OR REPLACE FUNCTION baton_redeem_link_v1(p_device uuid, p_code text, p_tries int, p_tries_all int, p_window int)
RETURNS TABLE (now timestamptz, outcome text)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  v_target uuid := (SELECT l.device_id FROM link_codes l WHERE l.code_key = baton_link_key_v1(p_code));
  v_devices uuid[] := ARRAY[p_device, baton_linked_v1(p_device), coalesce(v_target, p_device)];
  v_identities jsonb := baton_identities_of_v1(v_devices);
  v_since timestamptz;
  l link_codes;
  t link_tries;
BEGIN
  PERFORM baton_replan_v1();
  INSERT INTO conversation_states (device_id)
  SELECT DISTINCT d FROM unnest(v_devices) d ORDER BY d ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_states c WHERE c.device_id = ANY (v_devices) ORDER BY c.device_id FOR UPDATE;
  SELECT * INTO l FROM link_codes k WHERE k.code_key = baton_link_key_v1(p_code);
  IF l.device_id IS DISTINCT FROM v_target OR baton_linked_v1(p_device) <> ALL (v_devices)
    OR baton_identities_of_v1(v_devices) IS DISTINCT FROM v_identities THEN
    -- another link, or an erase, came between: giving up drops every lock, as in baton_accept_v1
    RAISE EXCEPTION 'an identity moved' USING ERRCODE = '40001';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('link tries', 0));
  now := baton_now_v1();
  v_since := now - p_window * interval '1 s';
  SELECT * INTO t FROM link_tries k WHERE k.device_id = p_device AND k.since > v_since;
  IF t.tries >= p_tries OR (SELECT sum(k.tries) FROM link_tries k WHERE k.since > v_since) >= p_tries_all THEN
    outcome := 'too_many';
  ELSIF l.expires_at > now AND coalesce(l.redeemed_by, p_device) = p_device THEN
    IF l.device_id = p_device THEN
      outcome := 'own';
    ELSE
      outcome := 'linked';
      UPDATE channel_identities i SET device_id = l.device_id WHERE i.device_id = p_device AND i.kind = 'device';
      INSERT INTO channel_identities (channel, account, kind, value, device_id)
      VALUES ('device', '', 'device', p_device::text, l.device_id)
      ON CONFLICT (channel, account, kind, value) DO UPDATE SET device_id = l.device_id;
      UPDATE link_codes k SET redeemed_by = p_device WHERE k.code_key = l.code_key;
      -- a code of its own would open what it has left
      DELETE FROM link_codes k WHERE k.device_id = p_device;
      DELETE FROM link_tries k WHERE k.device_id = p_device;
    END IF;
  ELSE
    outcome := 'invalid';
    DELETE FROM link_tries k WHERE k.since <= v_since;
    INSERT INTO link_tries AS k (device_id, tries, since) VALUES (p_device, 1, now)
    ON CONFLICT (device_id) DO UPDATE SET tries = k.tries + 1;
  END IF;
  RETURN NEXT;
END $$;
