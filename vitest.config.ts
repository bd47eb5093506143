import { defineConfig } from 'vitest/config';

const withServer = ['conformance', 'api', 'faults', 'dev'];

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'server',
          include: withServer.map((folder) => `tests/${folder}/**/*.test.ts`),
          globalSetup: 'tests/support/global-setup.ts',
        },
      },
    ],
  },
});
