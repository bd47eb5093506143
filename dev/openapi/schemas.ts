import { z } from 'zod';
import {
  agentName,
  document,
  messageId,
  sessionTtl,
  token,
  userId,
} from '../../lib/http/fields.ts';
import { answers, time, uuid } from './answers.ts';

/** A piece of the document. */
export type Json = Record<string, unknown>;

/** What a schema cannot say of itself, by the schema it is. */
const SAID = new Map<unknown, Json>([
  [document, { type: 'object', description: 'Any JSON object, at most 100 levels deep' }],
  [
    messageId,
    { description: 'Your own id of the message: sent again with it, it is the same message' },
  ],
  [sessionTtl, { description: 'Seconds' }],
  [token, { description: 'Token of the turn: a decimal number that grows' }],
  [userId, { description: 'Whoever is logged in, as your own systems call them' }],
  [agentName, { description: "An agent's name; human means a person" }],
  [time, { format: 'date-time' }],
  [uuid, { format: 'uuid' }],
]);

const settings = {
  io: 'input',
  unrepresentable: 'any',
  override({ zodSchema, jsonSchema }: { zodSchema: unknown; jsonSchema: Json }): void {
    Object.assign(jsonSchema, SAID.get(zodSchema));
    // callers must expect new fields
    if (jsonSchema['additionalProperties'] === false) delete jsonSchema['additionalProperties'];
  },
} as const;

/** JSON Schema of what a caller may send (input), or of what it is read as (output). */
export function schemaOf(schema: z.core.$ZodType, io: 'input' | 'output' = 'input'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { ...settings, io });
  return json;
}

export const refTo = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** Everything that is answered, each under its name, with references among them. */
export function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(answers)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    ...settings,
    uri: (id) => refTo(id).$ref,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [
      id,
      Object.fromEntries(
        Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'),
      ),
    ]),
  );
}

/** The parameters of a query. */
export function queryParameters(schema: z.core.$ZodType): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  // behind a transformation, the digits of a number are one
  const read = schemaOf(schema, 'output') as { properties?: Record<string, Json> };
  return Object.entries(properties).map(([name, written]) => {
    const meant = read.properties?.[name];
    const isNumber = meant?.['type'] === 'integer';
    return {
      name,
      in: 'query',
      required: required.includes(name),
      schema: isNumber ? meant : written,
    };
  });
}
