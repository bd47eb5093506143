import { BatonError, type ErrorCode } from '../../lib/errors.ts';
import { userId } from '../../lib/http/fields.ts';
import type { Access } from '../../lib/http/operations.ts';
import { problem } from '../../lib/http/problem.ts';
import type { Answer, Doc } from './doc.ts';
import { type Json, queryParameters, refTo, schemaOf } from './schemas.ts';

const header = (name: string, required: boolean, description: string, schema: Json) => ({
  name,
  in: 'header',
  required,
  description,
  schema,
});

function parametersOf(path: string, doc: Doc): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: name === 'user_id' ? schemaOf(userId) : { type: 'string', format: 'uuid' },
  }));
  const fixed = [...new URLSearchParams(path.split('?')[1])].map(([name, value]) => ({
    name,
    in: 'query',
    required: true,
    schema: { type: 'string', enum: [value] },
  }));
  const device =
    doc.device === undefined
      ? []
      : [
          header('X-Device-ID', doc.device === 'required', 'The device', {
            type: 'string',
            format: 'uuid',
          }),
        ];
  const guards =
    doc.guarded === undefined
      ? []
      : [
          header('If-Match', false, 'Write only if this is the version; * for any', {
            type: 'string',
          }),
          header('If-None-Match', false, '*: write only if there is nothing', {
            type: 'string',
            enum: ['*'],
          }),
        ];
  const proofs = Object.entries(doc.headers ?? {}).map(([name, says]) =>
    header(name, true, says, { type: 'string' }),
  );
  const prefers =
    doc.prefers === undefined ? [] : [header('Prefer', false, doc.prefers, { type: 'string' })];
  const query = doc.query === undefined ? [] : queryParameters(doc.query);
  return [...inPath, ...fixed, ...device, ...guards, ...prefers, ...proofs, ...query];
}

/** What a credential of each kind lets through: any one of the entries will do. */
const SECURITY: Record<Access, Json[]> = {
  device: [{ apiKey: [] }, { deviceToken: [] }],
  operator: [{ apiKey: [] }],
  newcomer: [{}, { apiKey: [] }, { deviceToken: [] }],
  public: [],
  signature: [],
  cron: [{ cronSecret: [] }],
};

const BY_ACCESS: Record<Access, ErrorCode[]> = {
  device: ['unauthorized', 'wrong_device', 'not_configured'],
  operator: ['unauthorized', 'forbidden', 'not_configured'],
  newcomer: ['unauthorized', 'wrong_device', 'not_configured'],
  public: ['not_configured'],
  signature: ['not_configured'],
  cron: ['unauthorized', 'not_configured'],
};

/** Every code an operation may be refused with. */
export function refusalsOf(access: Access, doc: Doc): ErrorCode[] {
  const codes = new Set<ErrorCode>([...BY_ACCESS[access], ...(doc.refusals ?? [])]);
  if (doc.device !== undefined || access === 'device') codes.add('invalid_device_id');
  if (doc.query !== undefined) codes.add('invalid_request');
  if (doc.guarded !== undefined) codes.add('version_conflict').add('invalid_request');
  if (doc.body !== undefined) {
    codes.add('invalid_json').add('invalid_request').add('body_timeout');
    codes.add('body_too_large').add('unsupported_media_type');
  }
  codes.add('internal_error').add('storage_unavailable');
  return [...codes];
}

const statusOf = (code: ErrorCode) => problem(new BatonError(code, '')).status;

function toResponse({ says, json = [], text = [], headers }: Answer): Json {
  const refs = json.map(refTo);
  const content = {
    ...(refs.length > 0 && {
      'application/json': { schema: refs.length === 1 ? refs[0] : { anyOf: refs } },
    }),
    ...Object.fromEntries(text.map((type) => [type, { schema: { type: 'string' } }])),
  };
  return {
    description: says,
    ...(headers !== undefined && {
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, description]) => [
          name,
          { description, schema: { type: 'string' } },
        ]),
      ),
    }),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function responsesOf(access: Access, doc: Doc): Record<string, Json> {
  const responses = new Map<number, Json>(
    Object.entries(doc.answers).map(([status, answer]) => [Number(status), toResponse(answer)]),
  );
  for (const [status, codes] of Map.groupBy(refusalsOf(access, doc), statusOf)) {
    const refusal = {
      description: codes.join(', '),
      content: { 'application/problem+json': { schema: refTo('Problem') } },
    };
    const answered = responses.get(status);
    responses.set(status, answered === undefined ? refusal : withContent(answered, refusal));
  }
  return Object.fromEntries([...responses].map(([status, response]) => [String(status), response]));
}

const withContent = (one: Json, other: Json): Json => ({
  ...one,
  description: `${String(one['description'])}; or ${String(other['description'])}`,
  content: { ...(one['content'] as Json), ...(other['content'] as Json) },
});

/** An operation as the document has it. */
export function toOperation(path: string, access: Access, doc: Doc): Json {
  const { schema, type = 'application/json', optional } = doc.body ?? {};
  return {
    operationId: doc.id,
    summary: doc.summary,
    ...(doc.more !== undefined && { description: doc.more }),
    security: SECURITY[access],
    parameters: parametersOf(path, doc),
    ...(schema !== undefined && {
      requestBody: {
        required: optional !== true,
        content: { [type]: { schema: schemaOf(schema) } },
      },
    }),
    responses: responsesOf(access, doc),
  };
}
