-- Accents do not matter to a search. unaccent() itself is not immutable, a configuration that uses its
-- dictionary is. Trusted since PostgreSQL 13: no superuser needed.
CREATE EXTENSION IF NOT EXISTS unaccent;
--> statement-breakpoint
CREATE TEXT SEARCH CONFIGURATION baton_search (COPY = simple);
--> statement-breakpoint
ALTER TEXT SEARCH CONFIGURATION baton_search ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;
