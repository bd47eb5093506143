import { type Access, operations } from '../../lib/http/operations.ts';
import type { Doc, OperationName } from './doc.ts';
import { docs } from './docs.ts';
import { toOperation } from './operation.ts';
import { componentSchemas, type Json } from './schemas.ts';

/** An operation of the table with its documentation. */
export interface Documented {
  name: OperationName;
  method: string;
  /** With the query that tells it from another of the same path. */
  path: string;
  access: Access;
  doc: Doc;
}

/** Every operation that is there, in the order of the table. */
export function documented(): Documented[] {
  return Object.entries(operations).flatMap(([path, row]) =>
    Object.entries<Access>(row).flatMap(([method, access]) => {
      const name = `${method} ${path}`;
      return isDocumented(name) ? [{ name, method, path, access, doc: docs[name] }] : [];
    }),
  );
}

const isDocumented = (name: string): name is OperationName => name in docs;

/** Where a query tells two operations of one path apart, the document, which knows no such thing, has them as one. */
function withVariant(one: Json | undefined, other: Json): Json {
  if (one === undefined) return other;
  const parameters = [one, other].flatMap((operation) => operation['parameters'] as Json[]);
  const names = new Set(parameters.map((parameter) => parameter['name']));
  const responses = { ...(other['responses'] as Json) };
  for (const [status, response] of Object.entries(one['responses'] as Record<string, Json>)) {
    const second = responses[status] as Json | undefined;
    responses[status] = second === undefined ? response : eitherOf(response, second);
  }
  return {
    ...one,
    description: `${String(one['description'])} With failed=true, for API keys alone: ${String(other['summary'])}.`,
    parameters: [...names].map((name) => ({
      ...parameters.find((parameter) => parameter['name'] === name),
      required: false,
    })),
    ...('requestBody' in one && {
      requestBody: { ...(one['requestBody'] as Json), required: false },
    }),
    responses,
  };
}

function eitherOf(one: Json, other: Json): Json {
  const schemas = [one, other].flatMap(answeredSchemas);
  if (schemas.length === 0) {
    // both refuse, each with its codes
    const codes = [one, other].flatMap((response) => String(response['description']).split(', '));
    return { ...one, description: [...new Set(codes)].join(', ') };
  }
  return {
    ...one,
    description: `${String(one['description'])}; with failed=true: ${String(other['description'])}`,
    content: { 'application/json': { schema: { anyOf: schemas } } },
  };
}

function answeredSchemas({ content }: Json): Json[] {
  const schema = (content as Record<string, { schema: Json }>)['application/json']?.schema;
  return schema === undefined ? [] : ((schema['anyOf'] as Json[] | undefined) ?? [schema]);
}

/** The whole OpenAPI 3.1 document. */
export function openApiDocument(): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const { method, path, access, doc } of documented()) {
    const pathname = path.split('?')[0] ?? '';
    const item = (paths[pathname] ??= {});
    const verb = method.toLowerCase();
    item[verb] = withVariant(item[verb], toOperation(path, access, doc));
  }
  const bearer = (description: string) => ({ type: 'http', scheme: 'bearer', description });
  return {
    openapi: '3.1.0',
    info: {
      title: 'Baton',
      version: '1',
      description:
        'Keeps a conversation with the agent that holds it. Refusals are RFC 9457 problems with a code to decide by. ' +
        'Every answer carries X-Request-Id and Cache-Control: no-store.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: {
        apiKey: bearer('One of API_KEYS: everything, for any device'),
        deviceToken: bearer('Of POST /api/device: its own device'),
        cronSecret: bearer('CRON_SECRET'),
      },
      schemas: componentSchemas(),
    },
  };
}
