import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const played = 'tests/faults/scenarios.test.ts';
const withServer = ['conformance', 'api', 'faults', 'dev', 'model', 'histories', 'cache'];

export default defineConfig({
  test: {
    // Most of them wait for a server: one worker on two cores, the default, takes twice as long.
    maxWorkers: Math.max(3, availableParallelism()),
    // These only end what hangs. How long something may take is asked by the tests it matters to.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'server',
          include: withServer.map((folder) => `tests/${folder}/**/*.test.ts`),
          exclude: [played],
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
      {
        extends: true,
        test: {
          // and once more as the platform would serve it: built, bundled, over HTTP, on Neon
          name: 'deployed',
          include: ['tests/api/**/*.test.ts'],
          exclude: [
            // it changes the settings of a running process; tests/dev/deploy.test.ts starts deployments with wrong ones
            'tests/api/all-routes-settings.test.ts',
            // some of its headers no HTTP client would send
            'tests/api/hostile.test.ts',
            // it counts the calls of the storage inside the process
            'tests/api/webhook-whatsapp-batch.test.ts',
          ],
          // what is asked here is whether the build answers; races are looked for in server and neon, without a second try
          retry: 1,
          globalSetup: ['tests/support/global-setup.ts', 'tests/support/deployed-setup.ts'],
          env: { TEST_DRIVER: 'neon-http', TEST_DEPLOYED: 'true' },
        },
      },
      {
        extends: true,
        test: {
          // when all else is done and the machine is quiet, for it measures how soon something happens
          name: 'faults',
          include: [played],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
