import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../../lib/json.ts';
import { number, parsed } from './values.ts';

const read = (...statuses: JsonValue[]) => parsed([], { statuses });
const status = (some: JsonObject = {}): JsonObject => ({
  id: 'wamid.9',
  status: 'delivered',
  timestamp: '1795176002',
  recipient_id: '12025550101',
  ...some,
});

describe('what became of a reply', () => {
  it('is found by its id and the number it left from', () => {
    expect(read(status())).toEqual({
      messages: [],
      statuses: [{ account: number, externalId: 'wamid.9', replyId: null, status: 'delivered' }],
      ignored: [],
      alerts: [],
    });
  });

  it.each([
    ['sent', 'sent'],
    ['delivered', 'delivered'],
    ['read', 'read'],
    ['played', 'read'],
  ])('%s is %s', (said, meant) => {
    expect(read(status({ status: said })).statuses).toMatchObject([{ status: meant }]);
  });

  it.each<[JsonValue, string | null]>([
    ['4711', '4711'],
    ['999999999999999999', '999999999999999999'],
    ['9999999999999999999', null],
    ['12a', null],
    ['', null],
    [4711, null],
    [null, null],
  ])('carries our own id where it is one: %j', (own, replyId) => {
    const { statuses } = read(status({ biz_opaque_callback_data: own }));
    expect(statuses).toMatchObject([{ replyId }]);
  });

  it.each<[string, number, object]>([
    ['nobody there', 131026, { error: 'graph_131026' }],
    ['the window is over', 131047, { error: 'outside_window' }],
    ['too many at once, which passes', 131056, { error: 'graph_131056', retryMs: 16_000 }],
  ])('failed, with what follows from the code: %s', (_, code, failure) => {
    const { statuses } = read(status({ status: 'failed', errors: [{ code, title: 'x' }] }));
    expect(statuses).toEqual([
      { account: number, externalId: 'wamid.9', replyId: null, status: 'failed', ...failure },
    ]);
  });

  it.each<JsonValue>([null, [], [null], [{ code: '131026' }], [{ title: 'call 12025550101' }]])(
    'failed for a reason that is not told: %j',
    (errors) => {
      const { statuses } = read(status({ status: 'failed', errors }));
      expect(statuses).toMatchObject([{ status: 'failed', error: 'no_code' }]);
    },
  );

  it.each([
    [131026, { kind: 'reply_failed', what: 'graph_131026', owner: false }],
    [131031, { kind: 'reply_failed', what: 'graph_131031', owner: true }],
  ])('failed is a line in the log, that says whether the owner has to act: %i', (code, alert) => {
    expect(read(status({ status: 'failed', errors: [{ code }] })).alerts).toEqual([alert]);
  });

  it('keeps the order, and loses none to a broken neighbour', () => {
    const { statuses, ignored } = read(
      status({ id: 'wamid.1' }),
      null,
      'x',
      status({ id: 7 }),
      status({ status: 'warning' }),
      status({ status: { $ne: null } }),
      status({ id: 'wamid.2' }),
    );
    expect(statuses.map(({ externalId }) => externalId)).toEqual(['wamid.1', 'wamid.2']);
    expect(ignored).toEqual([
      'broken_element',
      'broken_element',
      'no_status_id',
      'status:warning',
      'status:unknown',
    ]);
  });
});
