-- the users of the chat sessions there are; from now on each is noted as a session begins
INSERT INTO "channel_identities" ("channel", "account", "kind", "value", "device_id")
SELECT DISTINCT "channel", "device_id"::text, 'user', "user_id", "device_id" FROM "chat_sessions" WHERE "user_id" IS NOT NULL
ON CONFLICT DO NOTHING;
--> statement-breakpoint
CREATE INDEX "channel_identities_user" ON "channel_identities" USING btree ("value") WHERE "channel_identities"."kind" = 'user';
