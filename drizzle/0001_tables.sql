CREATE SEQUENCE "public"."baton_versions" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "channel_identities" (
	"channel" text NOT NULL,
	"account" text NOT NULL,
	"kind" text NOT NULL,
	"value" text NOT NULL,
	"device_id" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "channel_identities_channel_account_kind_value_pk" PRIMARY KEY("channel","account","kind","value")
);
--> statement-breakpoint
CREATE TABLE "chat_messages" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "chat_messages_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" uuid NOT NULL,
	"session_id" uuid NOT NULL,
	"seq" bigint,
	"role" text NOT NULL,
	"content" text NOT NULL,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"agent" varchar(50),
	"channel" text NOT NULL,
	"account" text NOT NULL,
	"lane" text NOT NULL,
	"external_id" text,
	"dedupe_key" "bytea",
	"address" jsonb,
	"holder" varchar(50),
	"request_id" text,
	"status" text NOT NULL,
	"answers" bigint[],
	"turn_fence" bigint,
	"attempts" integer DEFAULT 0 NOT NULL,
	"error" text,
	"claim_expires_at" timestamp (3) with time zone,
	"sent_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"search" "tsvector" GENERATED ALWAYS AS (to_tsvector('baton_search', left(normalize(content), 200000))) STORED,
	CONSTRAINT "chat_messages_dedupe" UNIQUE("dedupe_key")
);
--> statement-breakpoint
CREATE TABLE "chat_sessions" (
	"session_id" uuid PRIMARY KEY NOT NULL,
	"device_id" uuid NOT NULL,
	"user_id" text,
	"channel" text NOT NULL,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"complete" boolean DEFAULT false NOT NULL,
	"message_count" integer DEFAULT 0 NOT NULL,
	"ttl" integer,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_activity" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "conversation_states" (
	"device_id" uuid PRIMARY KEY NOT NULL,
	"active_agent" varchar(50),
	"locked_at" timestamp (3) with time zone,
	"session_ttl" integer DEFAULT 86400 NOT NULL,
	"lock_expires_at" timestamp (3) with time zone,
	"lock_version" bigint,
	"state" jsonb,
	"state_version" bigint,
	"state_updated_at" timestamp (3) with time zone,
	"session_id" uuid,
	"session_expires_at" timestamp (3) with time zone,
	"last_seq" bigint DEFAULT 0 NOT NULL,
	"turn_fence" bigint,
	"turn_owner" text,
	"turn_lane" text,
	"turn_expires_at" timestamp (3) with time zone,
	"handed" bigint[],
	"granted_lock_version" bigint,
	"granted_state_version" bigint,
	"committed_fence" bigint,
	"committed_hash" "bytea",
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "deployment_keys" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"inner_key" "bytea" NOT NULL,
	"outer_key" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "lock_events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "lock_events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" uuid NOT NULL,
	"agent" varchar(50) NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone NOT NULL,
	"reason" text NOT NULL
);
--> statement-breakpoint
CREATE INDEX "channel_identities_device" ON "channel_identities" USING btree ("device_id");--> statement-breakpoint
CREATE UNIQUE INDEX "chat_messages_order" ON "chat_messages" USING btree ("device_id","seq");--> statement-breakpoint
CREATE INDEX "chat_messages_session" ON "chat_messages" USING btree ("session_id","seq");--> statement-breakpoint
CREATE INDEX "chat_messages_waiting" ON "chat_messages" USING btree ("device_id","lane","id") WHERE "chat_messages"."status" = 'waiting';--> statement-breakpoint
CREATE INDEX "chat_messages_unsettled" ON "chat_messages" USING btree ("device_id","seq") WHERE "chat_messages"."status" in ('pending', 'sending', 'unknown');--> statement-breakpoint
CREATE INDEX "chat_messages_search" ON "chat_messages" USING gin ("search");--> statement-breakpoint
CREATE INDEX "chat_sessions_device" ON "chat_sessions" USING btree ("device_id","last_activity");--> statement-breakpoint
CREATE INDEX "chat_sessions_activity" ON "chat_sessions" USING btree ("last_activity");--> statement-breakpoint
CREATE INDEX "conversation_states_lapsing_locks" ON "conversation_states" USING btree ("lock_expires_at") WHERE "conversation_states"."active_agent" is not null;--> statement-breakpoint
CREATE INDEX "conversation_states_lapsing_sessions" ON "conversation_states" USING btree ("session_expires_at") WHERE "conversation_states"."session_id" is not null;--> statement-breakpoint
CREATE INDEX "lock_events_device" ON "lock_events" USING btree ("device_id","id");--> statement-breakpoint
CREATE INDEX "lock_events_ended" ON "lock_events" USING btree ("ended_at");