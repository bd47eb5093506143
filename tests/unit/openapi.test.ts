import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documented, openApiDocument } from '../../dev/openapi/document.ts';
import { accessTable } from '../../dev/openapi/table.ts';
import { operations } from '../../lib/http/operations.ts';

const root = resolve(import.meta.dirname, '../..');
const document = openApiDocument();

/** Every object within, with the way to it. */
function* walk(value: unknown, way = ''): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  yield [way, value as Record<string, unknown>];
  for (const [key, item] of Object.entries(value)) yield* walk(item, `${way}/${key}`);
}

describe('the OpenAPI document', () => {
  it('is what public/openapi.json serves: run npm run openapi', async () => {
    const served: unknown = JSON.parse(await readFile(join(root, 'public/openapi.json'), 'utf8'));
    expect(served).toEqual(JSON.parse(JSON.stringify(document)));
  });

  it('is the table of docs/security.md as well', async () => {
    expect(await readFile(join(root, 'docs/security.md'), 'utf8')).toContain(accessTable());
  });

  it('has every operation of the table', () => {
    const names = Object.entries(operations).flatMap(([path, row]) =>
      Object.keys(row).map((method) => `${method} ${path}`),
    );
    const missing = names.filter((name) => !documented().some((each) => each.name === name));
    expect(missing).toEqual([]);
  });

  it('gives every operation an id of its own, and a security of its own', () => {
    const found = [...walk(document['paths'])].filter(([, item]) => 'operationId' in item);
    const ids = found.map(([, item]) => item['operationId']);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [way, item] of found) expect(Array.isArray(item['security']), way).toBe(true);
  });

  it('refers to nothing that is not there', () => {
    for (const [way, { $ref }] of walk(document)) {
      if (typeof $ref !== 'string') continue;
      const target = $ref
        .slice('#/'.length)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
      expect(target, `${way} refers to ${$ref}`).toBeDefined();
    }
  });

  it('says something of every field that is sent', () => {
    const schemas = [...walk(document['paths'])].filter(([way]) => way.endsWith('/schema'));
    expect(schemas.length).toBeGreaterThan(50);
    for (const [way, schema] of schemas) expect(Object.keys(schema), way).not.toEqual([]);
  });

  it('names every path as OpenAPI wants it: without a query, its parameters described', () => {
    for (const [path, item] of Object.entries(document['paths'] as object)) {
      expect(path).toMatch(/^\/api\/[\w/{}-]+$/);
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(item as object)) {
        const { parameters } = operation as { parameters: { name: string; in: string }[] };
        const described = parameters.filter((parameter) => parameter.in === 'path');
        expect(described.map(({ name }) => name)).toEqual(names);
        const places = parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
        expect(new Set(places).size).toBe(places.length);
      }
    }
  });
});
