import { defineConfig } from 'oxlint';
import type { OxlintOverride } from 'oxlint';

/** An import that a layer must not make: patterns of its specifier, and what to do instead. */
type Ban = { message: string } & ({ regex: string } | { group: string[] });

const sql: Ban[] = [
  {
    regex: '^(drizzle-orm|drizzle-kit|pg|@neondatabase/serverless)(/|$)',
    message:
      'SQL stays in lib/storage/postgres/: add what you need to the interface in lib/storage/storage.ts.',
  },
  {
    regex: '^(\\.\\./)+drizzle/',
    message:
      'lib/storage/postgres/ alone knows the schema: use the types of lib/storage/storage.ts.',
  },
];

const implementations: Ban = {
  regex: '(^|/)(postgres|redis|memory|cache)/',
  message:
    'Only lib/app.ts chooses a storage: take the Storage of lib/storage/storage.ts as a parameter.',
};

const users: Ban = {
  regex: '^(\\.\\./)+(api|dev|tests)/',
  message: 'This is what the others stand on: move what it shares with them into lib/.',
};

const environment: Ban = {
  regex: '^(node:)?process$',
  message: 'Only lib/config.ts reads settings: take them from its Config.',
};

const upperLayers: Ban = {
  regex: '^(\\.\\./)+(agents|channels|http)/',
  message:
    'Storage knows nothing of agents, channels and HTTP: declare the type in lib/storage/storage.ts.',
};

const tools = ['config', 'errors', 'json', 'log', 'merge-patch', 'rate-limit', 'secrets'];

/** @param lib the way from the file to lib/ */
const services = (lib: string): Ban => ({
  group: [`${lib}*.ts`, ...tools.map((tool) => `!${lib}${tool}.ts`)],
  message: 'Storage keeps, services decide: pass in what the operation needs.',
});

const forbid = (...patterns: Ban[]): NonNullable<OxlintOverride['rules']> => ({
  'no-restricted-imports': ['error', { patterns }],
});

// A later override of a rule replaces the earlier one: each layer names all that it must not import.
const layers: OxlintOverride[] = [
  {
    files: ['api/**'],
    rules: forbid(
      ...sql,
      implementations,
      { regex: '^(\\.\\./)+(dev|tests)/', message: 'A function imports from lib/ only.' },
      environment,
    ),
  },
  { files: ['lib/**'], rules: forbid(...sql, implementations, users, environment) },
  { files: ['lib/app.ts'], rules: forbid(...sql, users, environment) },
  {
    files: ['lib/storage/**'],
    rules: forbid(...sql, implementations, services('../'), upperLayers, users, environment),
  },
  {
    files: ['lib/storage/postgres/**'],
    rules: forbid(services('../../'), upperLayers, users, environment),
  },
  {
    files: ['lib/storage/{memory,cache,redis}/**'],
    rules: forbid(...sql, services('../../'), upperLayers, users, environment),
  },
  {
    files: ['dev/**', 'drizzle/**'],
    rules: forbid({
      regex: '^(\\.\\./)+(api|tests)/',
      message: 'Functions are called over HTTP, and nothing stands on tests.',
    }),
  },
];

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'node', 'promise', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  rules: {
    eqeqeq: ['error', 'always', { null: 'ignore' }],
    'max-lines': ['error', { max: 300 }],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    'no-console': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'no-restricted-properties': [
      'error',
      { object: 'process', property: 'env', message: environment.message },
      { object: 'globalThis', property: 'process', message: environment.message },
      { object: 'JSON', property: 'parse', message: 'Use parseJson: V8 gets some keys wrong.' },
    ],
    'typescript/ban-ts-comment': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-call': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-return': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': 'error',
    'vitest/valid-expect': ['error', { maxArgs: 2 }],

    // A leading underscore marks what is destructured to be left out.
    'no-underscore-dangle': 'off',
    'import/no-named-as-default-member': 'off',
    // The compiler's noImplicitReturns knows which switches are exhaustive.
    'typescript/consistent-return': 'off',
    // Brands are made by assertion, at the place that has checked the value.
    'typescript/no-unsafe-type-assertion': 'off',
    // Objects of functions that know no `this` are the rule here.
    'typescript/unbound-method': 'off',
    'unicorn/consistent-function-scoping': 'off',
  },
  overrides: [
    ...layers,
    {
      files: [
        'lib/config.ts',
        'lib/json.ts',
        'lib/client-request.ts', // imports nothing but types, so that it can be copied
        'dev/main.ts',
        'dev/demo.ts',
        'dev/build.ts',
        'dev/doctor.ts',
        'dev/connect.ts',
        '*.config.ts',
        'drizzle/**',
      ],
      rules: { 'no-restricted-properties': 'off' },
    },
    { files: ['dev/**', 'drizzle/**'], rules: { 'no-console': 'off' } },
    {
      files: ['tests/**'],
      rules: {
        'max-lines-per-function': 'off',
        'no-console': 'off',
        'no-shadow': 'off',
        'no-restricted-properties': 'off',
        // What came over the wire is checked by the assertions.
        'typescript/no-unsafe-argument': 'off',
        'typescript/no-unsafe-assignment': 'off',
        'typescript/no-unsafe-call': 'off',
        'typescript/no-unsafe-member-access': 'off',
        'typescript/no-unsafe-return': 'off',
        'typescript/require-array-sort-compare': 'off',
        'typescript/restrict-template-expressions': 'off',
        'vitest/expect-expect': 'off',
        'vitest/no-conditional-expect': 'off',
        // The cases of a suite are data: what calls them is the test.
        'vitest/no-standalone-expect': 'off',
        'vitest/valid-title': 'off',
        'vitest/require-mock-type-parameters': 'off',
        'vitest/require-to-throw-message': 'off',
      },
    },
    // These tools read their settings from a default export.
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});
