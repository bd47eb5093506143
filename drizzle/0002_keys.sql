-- Room on each page for the new version of a row that every turn updates twice.
ALTER TABLE conversation_states SET (fillfactor = 70);
--> statement-breakpoint
-- 64 bytes each; a version 4 UUID holds 122 random bits.
INSERT INTO deployment_keys (inner_key, outer_key)
SELECT string_agg(uuid_send(gen_random_uuid()), ''), string_agg(uuid_send(gen_random_uuid()), '') FROM generate_series(1, 4);
