-- RFC 7396. One pass per level: applying key after key with || copies a megabyte for each of them, and -> on a
-- stored document unpacks all of it each time.
CREATE OR REPLACE FUNCTION baton_merge_patch_v1(p_target jsonb, p_patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF jsonb_typeof(p_patch) IS DISTINCT FROM 'object' THEN
    RETURN p_patch;
  END IF;
  IF jsonb_typeof(p_target) IS DISTINCT FROM 'object' THEN
    p_target := '{}';
    IF position('null' IN p_patch::text) = 0 THEN
      RETURN p_patch; -- nothing to merge with and nothing to remove
    END IF;
  END IF;
  RETURN coalesce((
    SELECT jsonb_object_agg(key, CASE
      WHEN p.value IS NULL THEN t.value
      WHEN jsonb_typeof(p.value) = 'object' THEN baton_merge_patch_v1(t.value, p.value)
      ELSE p.value END)
    FROM jsonb_each(p_target) t FULL JOIN jsonb_each(p_patch) p USING (key)
    WHERE p.value IS NULL OR p.value <> 'null'), '{}');
END $$;
