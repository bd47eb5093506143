import { expect } from 'vitest';
import { BatonError } from '../../lib/errors.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { commit, commitOf, message, newDevice, take, terms } from '../support/storage.ts';
import type { Cases } from './case.ts';
import { contentsOf } from './ways.ts';

/** Names that look like trouble: each is one name, and no other's. */
export const keyCases = {
  'may be any UUID, the nil and the last one too': async (h) => {
    for (const device of [
      '00000000-0000-0000-0000-000000000000' as DeviceId,
      'ffffffff-ffff-ffff-ffff-ffffffffffff' as DeviceId,
    ]) {
      const turn = await take(h.storage, device, { content: device });
      expect(contentsOf(turn)).toEqual([device]);
      await commit(h.storage, turn, commitOf('a'));
      await h.storage.putState(device, { device }, { kind: 'none' });
      expect((await h.storage.getState(device)).state).toEqual({ device });
    }
  },

  'tell two triples apart that look the same when they are joined': async (h) => {
    const device = newDevice();
    const triples: [string, string, string][] = [
      ['a', 'b', 'c'],
      ['a', 'b,c', ''],
      ['a,b', 'c', ''],
      ['a', '', 'b,c'],
      ['', 'a', 'b,c'],
      ['a"', 'b', 'c'],
      ['a', '"b', 'c'],
      ['a":"b', '', 'c'],
      ['a\\', 'b', 'c'],
      ['a', '\\b', 'c'],
      ['a ', 'b', 'c'],
      ['A', 'b', 'c'],
      ['a', 'b', 'ç'],
      ['a', 'b', 'c\u0327'],
      ['%', '_', '*'],
      ['\n', '\t', '\u0001'],
    ];
    const [accepted] = await h.storage.accept(
      triples.map(([channel, account, externalId]) =>
        message(device, { channel, account, externalId }),
      ),
      terms(),
    );
    expect(accepted?.messages.map(({ duplicate }) => duplicate)).toEqual(triples.map(() => false));
    expect(new Set(accepted?.messages.map(({ id }) => id)).size).toBe(triples.length);
    expect(accepted?.messages.map(({ messageId }) => messageId)).toEqual(
      triples.map(([, , externalId]) => externalId),
    );
  },

  'tell two people apart that look the same when their names are joined': async (h) => {
    const senders: [string, string, string][] = [
      ['n', '1', 'A'],
      ['n,1', '', 'A'],
      ['n', '1,A', ''],
      ['n"', '1"', 'A"'],
      ['N', '1', 'A'],
      ['n', '1', 'a'],
      ['n', '1', 'A '],
    ];
    const devices = new Set<string | undefined>();
    for (const [account, phone, userId] of senders) {
      const sender = { phone: `+${phone}`, userId: `u${userId}` };
      const [accepted] = await h.storage.accept(
        [message(newDevice(), { channel: 'whatsapp', account, sender })],
        terms(),
      );
      devices.add(accepted?.device);
    }
    expect(devices.size).toBe(senders.length);
  },

  'may be as long as they like': async (h) => {
    const device = newDevice();
    const long = (end: string) => `${'k'.repeat(5_000)}${end}`;
    const once = message(device, { externalId: long('a'), channel: long(''), account: long('') });
    const [first] = await h.storage.accept([once], terms());
    expect(first?.messages).toMatchObject([{ messageId: long('a'), duplicate: false }]);
    const [again] = await h.storage.accept([once, { ...once, externalId: long('b') }], terms());
    expect(again?.messages.map(({ duplicate }) => duplicate)).toEqual([true, false]);
  },

  'may be those of every object': async (h) => {
    const device = newDevice();
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''];
    const [accepted] = await h.storage.accept(
      names.map((externalId) => message(device, { externalId })),
      terms({ requestId: '__proto__' }),
    );
    expect(accepted?.messages.map(({ duplicate }) => duplicate)).toEqual(names.map(() => false));
    const metadata = JSON.parse('{"__proto__":{"x":1},"constructor":null}');
    const turn = await take(h.storage, newDevice(), { metadata });
    expect(turn.messages[0]?.metadata).toEqual(metadata);
  },

  'and texts come back as they are, in every script, or the call is refused: never changed in silence':
    async (h) => {
      const texts = [
        'e\u0301 é 한국어 😀 👩‍👩‍👧 \u202Eabc\u202C',
        '"\\\'; DROP TABLE chat_messages; -- $1 %s \r\n\t\u0001\u007F\u0085\u2028\uFEFF\uFFFD\uFFFF',
        ' ',
        'U+0000: \u0000',
        'half a pair: \uD83D',
        '\uDE00: the other half',
      ];
      for (const content of texts) {
        const device = newDevice();
        const storing = h.storage.accept(
          [message(device, { content, metadata: { content }, externalId: content })],
          terms(),
        );
        const stored = await storing.catch((error: unknown) => {
          expect(error).toBeInstanceOf(BatonError);
          return null;
        });
        if (stored === null) expect(await h.messages(device)).toEqual([]);
        else
          expect(stored[0]?.turn?.messages).toMatchObject([
            { content, messageId: content, metadata: { content } },
          ]);
        if (stored === null) expect(/\0|\p{Surrogate}/u.test(content)).toBe(true);
      }
    },
} satisfies Cases;
