import fc from 'fast-check';
import { openApiDocument } from '../../dev/openapi/document.ts';
import type { CallOptions } from './api.ts';

// Requests made of the OpenAPI document: mostly what it asks for, and at any place something else.

interface Schema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  maxItems?: number;
  anyOf?: Schema[];
}

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Schema }> };
}

export interface HostileCall {
  method: string;
  path: string;
  options: CallOptions;
}

/** Texts that have broken something, somewhere. */
const NASTY: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00x',
  '\ufeff',
  '\u202e',
  '\u2028',
  '\u001b[2J\u001b]0;owned\u0007',
  'line\r\nX-Injected: yes',
  '{"event":"forged"}\n{"event":"forged"}',
  '=HYPERLINK("http://x")',
  '@SUM(1)',
  '<script>alert(1)</script>',
  "'; DROP TABLE chat_messages; --",
  '$1',
  '%s%n%00',
  '../../../etc/passwd',
  '%2e%2e%2f',
  '__proto__',
  'constructor',
  'null',
  'undefined',
  'NaN',
  '-1',
  '0x10',
  '1e400',
  '９９',
  '9223372036854775808',
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '{3ac75018-c011-4d01-9dd6-df50e603766d}',
  '3ac75018c0114d019dd6df50e603766d',
  '2026-13-45T99:99:99Z',
  '🧵'.repeat(200),
  'ẞ́̂̃'.repeat(100),
  'x'.repeat(10_000),
];

const nasty = fc.constantFrom(...NASTY);
const numbers = fc.oneof(
  fc.constantFrom(0, -0, -1, 0.1, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 5e-324),
  fc.double(),
);
const deep = fc.integer({ min: 1, max: 300 }).map((levels) => {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
});
const anything: fc.Arbitrary<unknown> = fc.oneof(
  nasty,
  numbers,
  deep,
  fc.constantFrom(null, true, false, [], {}, [[]], { __proto__: null }),
  fc.string({ unit: 'binary' }),
  fc.jsonValue({ maxDepth: 4 }),
);

/** Mostly as meant. */
const mostly = <T>(meant: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: meant }, { weight: 1, arbitrary: anything });

function textOf(schema: Schema): fc.Arbitrary<string> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map(String));
  if (schema.format === 'uuid') return fc.uuid();
  if (schema.format === 'date-time') {
    const [min, max] = [new Date('2000-01-01'), new Date('2100-01-01')];
    return fc.date({ min, max, noInvalidDate: true }).map((date) => date.toISOString());
  }
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern));
  const { minLength = 0, maxLength = 40 } = schema;
  return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 40) });
}

function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  if (schema.const !== undefined) return mostly(fc.constant(schema.const));
  switch (schema.type) {
    case 'string':
      return mostly(textOf(schema));
    case 'integer':
    case 'number':
      return mostly(fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 }));
    case 'boolean':
      return mostly(fc.boolean());
    case 'array':
      return mostly(fc.array(valueOf(schema.items ?? {}), { maxLength: 4 }));
    case 'object':
      return mostly(objectOf(schema));
    case undefined:
    default:
      return anything;
  }
}

function objectOf({ properties, required = [] }: Schema): fc.Arbitrary<unknown> {
  if (properties === undefined) return fc.dictionary(fc.oneof(fc.string(), nasty), fc.jsonValue());
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, valueOf(schema)]),
  );
  // now and then one that must be there is not
  return fc.oneof(
    { weight: 10, arbitrary: fc.record(fields, { requiredKeys: required }) },
    { weight: 1, arbitrary: fc.record(fields, { requiredKeys: [] }) },
  );
}

/** A body as bytes would have it: mostly JSON, now and then torn, doubled, or nothing of the kind. */
const toRaw = (body: fc.Arbitrary<unknown>): fc.Arbitrary<string> => {
  const text = body.map((value) => JSON.stringify(value) ?? '');
  return fc.oneof(
    { weight: 12, arbitrary: text },
    { weight: 1, arbitrary: fc.tuple(text, fc.nat(200)).map(([all, end]) => all.slice(0, end)) },
    { weight: 1, arbitrary: nasty },
    { weight: 1, arbitrary: text.map((all) => `{"__proto__":{"a":1},"a":1e400,"b":${all}}`) },
  );
};

const typed = (meant: string): fc.Arbitrary<string | null> =>
  fc.oneof(
    { weight: 15, arbitrary: fc.constant(meant) },
    { weight: 1, arbitrary: fc.constantFrom(null, 'text/plain', 'application/xml', 'a/b;;=') },
  );

/** What a header may hold at all: the rest does not leave a client. */
const headerText = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((c) => String.fromCharCode(c)) }),
  nasty.map((text) => text.replaceAll(/[^\t\x20-\xff]/g, '')),
);

const STRAY = [
  'X-Request-Id',
  'If-Match',
  'If-None-Match',
  'Prefer',
  'Origin',
  'Range',
  'Accept',
  'Content-Encoding',
  'X-Forwarded-For',
  'X-HTTP-Method-Override',
];

/**
 * @param known ids by the names of path parameters and headers; half of the time they are what is sent there
 * @param credentials values of Authorization, one of which is sent
 */
export function hostileCalls(
  known: Readonly<Record<string, readonly string[]>>,
  credentials: readonly string[],
): fc.Arbitrary<HostileCall> {
  const { paths } = openApiDocument() as {
    paths: Record<string, Record<string, Operation>>;
  };
  const given = (name: string, schema: Schema): fc.Arbitrary<string> => {
    const made = valueOf(schema).map((value) =>
      typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
    );
    const ids = known[name];
    return ids === undefined
      ? made
      : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...ids) }, { weight: 1, arbitrary: made });
  };
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters, requestBody }]) => {
      const at = (place: string) => {
        const here = parameters.filter((parameter) => parameter.in === place);
        const fields = here.map(({ name, schema }) => [name, given(name, schema)] as const);
        return fc.record(Object.fromEntries(fields), {
          requiredKeys: here.filter(isNeeded).map(nameOf),
        });
      };
      const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
      return fc
        .record({
          inPath: at('path'),
          inQuery: at('query'),
          inHeaders: at('header'),
          stray: fc.option(fc.tuple(fc.constantFrom(...STRAY), headerText), { freq: 5 }),
          authorization: fc.constantFrom(...credentials),
          raw: content === undefined ? fc.constant(undefined) : toRaw(valueOf(content.schema)),
          contentType: typed(type ?? 'application/json'),
        })
        .map((parts): HostileCall => {
          const query = new URLSearchParams(stringsOf(parts.inQuery));
          const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
            encodeURIComponent((stringsOf(parts.inPath)[name] ?? '').toWellFormed() || 'x'),
          );
          return {
            method: method.toUpperCase(),
            path: query.size > 0 ? `${filled}?${query.toString()}` : filled,
            options: {
              ...(parts.raw !== undefined && { raw: parts.raw.toWellFormed() }),
              type: parts.contentType,
              headers: {
                authorization: parts.authorization,
                ...sendable(stringsOf(parts.inHeaders)),
                ...(parts.stray !== null && { [parts.stray[0]]: parts.stray[1] }),
              },
            },
          };
        });
    }),
  );
  return fc.oneof(...operations);
}

const isNeeded = ({ required }: { required: boolean }): boolean => required;
const nameOf = ({ name }: { name: string }): string => name;
const stringsOf = (record: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value]] : [],
    ),
  );
const sendable = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replaceAll(/[^\t\x20-\xff]/g, '')]),
  );
