-- What search looks in: the first 200,000 characters, or, where their many different words overflow a tsvector
-- (1 MB), the first 50,000, which cannot. A message is never refused for its words. "and/or" are two, and
-- "<b>" is one: the parser would take the first for the name of a file and the second for nothing.
CREATE OR REPLACE FUNCTION baton_search_vector_v1(p_text text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF length(p_text) > 50000 THEN
    BEGIN
      RETURN to_tsvector('baton_search', regexp_replace(left(normalize(p_text), 200000), '([/<])', ' \1 ', 'g'));
    EXCEPTION WHEN program_limit_exceeded THEN
      NULL; -- the short way below
    END;
  END IF;
  RETURN to_tsvector('baton_search', regexp_replace(left(normalize(p_text), 50000), '([/<])', ' \1 ', 'g'));
END $$;
--> statement-breakpoint
CREATE TABLE "counters" (
	"name" text NOT NULL,
	"label" text NOT NULL,
	"value" bigint NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "counters_name_label_pk" PRIMARY KEY("name","label")
);
--> statement-breakpoint
CREATE TABLE "link_codes" (
	"code_key" "bytea" PRIMARY KEY NOT NULL,
	"device_id" uuid NOT NULL,
	"redeemed_by" uuid,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "link_tries" (
	"device_id" uuid PRIMARY KEY NOT NULL,
	"tries" integer NOT NULL,
	"since" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "restores" (
	"backup_id" uuid PRIMARY KEY NOT NULL,
	"lines" bigint NOT NULL,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "chat_messages" drop column "search";--> statement-breakpoint
ALTER TABLE "chat_messages" ADD COLUMN "search" "tsvector" GENERATED ALWAYS AS (baton_search_vector_v1(content)) STORED;--> statement-breakpoint
-- it went with the column
CREATE INDEX "chat_messages_search" ON "chat_messages" USING gin ("search");--> statement-breakpoint
ALTER TABLE "channel_identities" ADD COLUMN "checked_at" timestamp (3) with time zone DEFAULT baton_now_v1() NOT NULL;--> statement-breakpoint
ALTER TABLE "chat_sessions" ADD COLUMN "bytes" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "conversation_states" ADD COLUMN "rate_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "conversation_states" ADD COLUMN "erased_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE UNIQUE INDEX "link_codes_device" ON "link_codes" USING btree ("device_id");--> statement-breakpoint
CREATE INDEX "link_codes_lapsing" ON "link_codes" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "link_tries_since" ON "link_tries" USING btree ("since");--> statement-breakpoint
CREATE INDEX "channel_identities_checked" ON "channel_identities" USING btree ("checked_at");--> statement-breakpoint
CREATE INDEX "chat_messages_created" ON "chat_messages" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "chat_messages_fallen" ON "chat_messages" USING btree ("id") WHERE "chat_messages"."status" = 'waiting' and "chat_messages"."lane" = 'builtin';--> statement-breakpoint
CREATE INDEX "chat_messages_erased" ON "chat_messages" USING btree ("created_at") WHERE "chat_messages"."status" = 'erased';--> statement-breakpoint
CREATE INDEX "chat_messages_failed" ON "chat_messages" USING btree ("id") WHERE "chat_messages"."status" = 'failed' and "chat_messages"."role" = 'user';--> statement-breakpoint
CREATE INDEX "chat_messages_due" ON "chat_messages" USING btree ("status","claim_expires_at") WHERE "chat_messages"."status" in ('pending', 'sending', 'unknown') and "chat_messages"."claim_expires_at" is not null;--> statement-breakpoint
CREATE INDEX "chat_messages_sent" ON "chat_messages" USING btree ("channel","account","external_id") WHERE "chat_messages"."role" = 'assistant' and "chat_messages"."external_id" is not null;--> statement-breakpoint
CREATE INDEX "chat_sessions_user" ON "chat_sessions" USING btree ("user_id","expires_at") WHERE "chat_sessions"."user_id" is not null;--> statement-breakpoint
CREATE INDEX "chat_sessions_living" ON "chat_sessions" USING btree ("expires_at","complete","bytes");--> statement-breakpoint
CREATE INDEX "chat_sessions_created" ON "chat_sessions" USING btree ("created_at");