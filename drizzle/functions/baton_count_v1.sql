-- Adds what an instance has counted: [{name, label, by}]. In the order of the keys, as two instances do it at once.
CREATE OR REPLACE FUNCTION baton_count_v1(p_counts jsonb) RETURNS void
LANGUAGE sql VOLATILE AS $$
  INSERT INTO counters AS c (name, label, value, updated_at)
  SELECT n.name, n.label, sum(n.by), baton_now_v1() FROM jsonb_to_recordset(p_counts) AS n (name text, label text, by bigint)
  GROUP BY n.name, n.label ORDER BY n.name, n.label
  ON CONFLICT (name, label) DO UPDATE SET value = c.value + EXCLUDED.value, updated_at = greatest(c.updated_at, EXCLUDED.updated_at)
$$;
