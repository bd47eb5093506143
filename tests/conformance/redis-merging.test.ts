import { expect, it } from 'vitest';
import { type JsonObject, parseJson } from '../../lib/json.ts';
import { mergePatch } from '../../lib/merge-patch.ts';
import { DOCUMENTS } from '../../lib/storage/redis/lua/documents.ts';
import { createRunner, script } from '../../lib/storage/redis/scripts.ts';
import { openUpstash } from '../../lib/storage/redis/upstash.ts';
import { withRedis } from '../support/redis.ts';
import { limits } from '../support/storage.ts';
import { redisOfTests } from './redis-ways.ts';

withRedis('redis', () => {
  const { entrance } = redisOfTests();

  it.each<[string, JsonObject, JsonObject]>([
    ['nothing', {}, {}],
    ['lists, which are replaced', { a: [1, { b: [] }] }, { a: [] }],
    ['empty ones', { a: {}, b: [], c: '' }, { d: {}, e: [] }],
    ['nulls in a new part', {}, { a: { b: null, c: { d: null } } }],
    ['a part in the place of a value', { a: 1, b: [1] }, { a: { x: 1 }, b: { y: 2 } }],
    ['a value in the place of a part', { a: { x: 1 } }, { a: 1 }],
    ['quotes, brackets and backslashes', { 'a"}': '\\"{[,:]}\\\\', b: 1 }, { 'a"}': null }],
    [
      'keys of every object',
      JSON.parse('{"__proto__":{"a":1}}'),
      JSON.parse('{"__proto__":{"b":2}}'),
    ],
    [
      'numbers as they are',
      { a: 1e21, b: 0.1, c: 123456789012345680000, d: -0.5e-7 },
      { e: 1e300 },
    ],
    ['letters of every script', { é: '漢字\u2028', '😀': '\u0001' }, { é: 'ü', '😀': null }],
    ['deep ones', deep(90, 'x'), deep(90, 'y')],
  ])('merges %s', async (_, target, patch) => {
    const MERGE = script(DOCUMENTS, 'return cjson.encode({ merged(input.target, input.patch) })');
    const { run } = createRunner(openUpstash(entrance()), { prefix: '', kept: 1, limits });
    const input = { target: JSON.stringify(target), patch: JSON.stringify(patch) };
    const [merged] = (await run(MERGE, input)) as [string];
    expect(parseJson(merged)).toEqual(mergePatch(target, patch));
  });
});

function deep(levels: number, key: string): JsonObject {
  let document: JsonObject = { [key]: 1 };
  for (let i = 0; i < levels; i++) document = { a: document };
  return document;
}
