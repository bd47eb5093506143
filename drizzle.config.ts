import { defineConfig } from 'drizzle-kit';

// drizzle-kit asks for a default export.
export default defineConfig({
  dialect: 'postgresql',
  schema: './drizzle/schema.ts',
  out: './drizzle',
});
