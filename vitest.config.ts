import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const withServer = ['conformance', 'api', 'faults', 'dev'];

export default defineConfig({
  test: {
    // Most of them wait for a server: one worker on two cores, the default, takes twice as long.
    maxWorkers: Math.max(3, availableParallelism()),
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
      {
        extends: true,
        test: {
          // what a caller sees, once more over Neon's HTTP
          name: 'neon',
          include: ['tests/api/**/*.test.ts', 'tests/conformance/whole-turn.test.ts'],
          globalSetup: 'tests/support/global-setup.ts',
          env: { TEST_DRIVER: 'neon-http' },
        },
      },
    ],
  },
});
