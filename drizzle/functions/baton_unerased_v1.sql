-- The messages of a call but those whose words were erased: a redelivery of one must not bring its sender's ids back.
CREATE OR REPLACE FUNCTION baton_unerased_v1(p_messages jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN (
    SELECT coalesce(jsonb_agg(e.m ORDER BY e.ord), '[]') FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS e (m, ord)
    WHERE baton_erased_v1(e.m ->> 'channel', e.m ->> 'account', e.m ->> 'external_id') IS NULL);
END $$;
