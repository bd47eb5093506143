import { describe, expect, it } from 'vitest';
import type { Channel } from '../../../lib/channels/channel.ts';
import { splitReply } from '../../../lib/channels/whatsapp/compose.ts';
import { InvalidReply, type RichReply, richOf, toReply } from '../../../lib/replies.ts';
import { agentNamed, answer, heldBy, turnWith } from '../../support/turns.ts';

const buttons = (...titles: string[]): RichReply => ({
  kind: 'buttons',
  text: 'Which?',
  buttons: titles.map((title, i) => ({ id: `b${i}`, title })),
});
const rows = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ id: `r${from + i}`, title: `Row ${from + i}` }));
const list = (sections: { title?: string; rows: ReturnType<typeof rows> }[]): RichReply => ({
  kind: 'list',
  text: 'Which?',
  button: 'Choose',
  sections,
});
const link = { kind: 'link', text: 'See', title: 'Open', url: 'https://example.com' } as const;
const image = { kind: 'image', link: 'https://example.com/a.jpg' } as const;
const template = { kind: 'template', name: 'hello_world', language: 'en_US' } as const;
const x = (length: number) => 'x'.repeat(length);

/** What an agent that says this is told. */
async function told(said: string | RichReply, metadata = {}): Promise<unknown> {
  const agent = agentNamed('speaker', (turn) => turn.reply(said, metadata));
  return answer(turnWith({ lock: heldBy('speaker') }), [agent]).then(
    ({ replies }) => replies,
    (error: unknown) => error,
  );
}

describe('a reply', () => {
  it('of text alone is its content, and the metadata is the agent’s own', async () => {
    expect(await told('Hello', { mood: 'good' })).toEqual([
      { content: 'Hello', metadata: { mood: 'good' }, agent: 'speaker' },
    ]);
    expect(await told({ kind: 'text', text: 'Hello' })).toEqual([
      { content: 'Hello', metadata: {}, agent: 'speaker' },
    ]);
  });

  it.each<[string, RichReply, string]>([
    ['a quoted text', { kind: 'text', text: 'Yes', quote: 'wamid.1' }, 'Yes'],
    ['buttons', { ...buttons('A', 'B', 'C'), header: 'H', footer: 'F' } as RichReply, 'Which?'],
    [
      'a list',
      list([
        { title: 'One', rows: rows(5) },
        { title: 'Two', rows: rows(5, 5) },
      ]),
      'Which?',
    ],
    ['a link', { ...link, quote: 'wamid.1' }, 'See'],
    ['a picture with a caption', { ...image, text: 'Our shop' }, 'Our shop'],
    ['a voice message', { kind: 'audio', id: '1234' }, ''],
    ['a document', { kind: 'document', link: image.link, filename: 'a.pdf', text: 'Bill' }, 'Bill'],
    ['a template', { ...template, parameters: ['Ana'], text: 'Hello Ana' }, 'Hello Ana'],
  ])(
    '%s is kept in the metadata, without its text, and read back as it was',
    (_, said, content) => {
      const reply = toReply(said, { mood: 'good' }, null);
      const { text: _text, ...rest } = { text: '', ...said };
      expect(reply).toEqual({ content, metadata: { mood: 'good', reply: rest }, agent: null });
      expect(richOf(reply)).toEqual(said);
    },
  );

  it('takes a text of any length', async () => {
    expect(await told(x(100_000))).toMatchObject([{ content: x(100_000) }]);
  });

  it.each<[string, RichReply]>([
    ['three buttons of 20 characters', buttons(x(20), `${x(19)}y`, `${x(19)}z`)],
    ['1,024 characters above buttons', { ...buttons('A'), text: x(1_024) } as RichReply],
    [
      '4,096 characters above a list',
      { ...list([{ rows: rows(10) }]), text: x(4_096) } as RichReply,
    ],
    [
      'ten sections',
      list(Array.from({ length: 10 }, (_, i) => ({ title: `${i}`, rows: rows(1, i) }))),
    ],
    ['a caption of 1,024', { ...image, text: x(1_024) }],
  ])('takes as much as WhatsApp does: %s', async (_, said) => {
    expect(await told(said)).toHaveLength(1);
  });

  it.each<[string, unknown, string]>([
    ['no text', '', 'text: needs a text'],
    ['a blank text', ' \n', 'text: needs a text'],
    ['no button', buttons(), 'buttons: needs an entry'],
    ['a fourth button', buttons('A', 'B', 'C', 'D'), 'buttons: at most 3 entries'],
    ['a long title', buttons('A', x(21)), 'buttons.1.title: at most 20 characters'],
    ['a blank title', buttons(' '), 'buttons.0.title: needs a text'],
    ['one title twice', buttons('A', 'A'), 'buttons: each button needs a title of its own'],
    [
      'one id twice',
      {
        ...buttons(),
        buttons: [
          { id: 'a', title: 'A' },
          { id: 'a', title: 'B' },
        ],
      },
      'buttons: each button needs an id of its own',
    ],
    [
      'an id with spaces around',
      { ...buttons(), buttons: [{ id: ' a', title: 'A' }] },
      'buttons.0.id: must not begin or end with spaces',
    ],
    [
      'a long id',
      { ...buttons(), buttons: [{ id: x(257), title: 'A' }] },
      'buttons.0.id: at most 256 characters',
    ],
    ['a long body', { ...buttons('A'), text: x(1_025) }, 'text: at most 1024 characters'],
    ['a long header', { ...buttons('A'), header: x(61) }, 'header: at most 60 characters'],
    ['a long footer', { ...link, footer: x(61) }, 'footer: at most 60 characters'],
    ['an eleventh row', list([{ rows: rows(11) }]), 'sections.0.rows: at most 10 entries'],
    [
      'eleven rows in two sections',
      list([
        { title: 'A', rows: rows(6) },
        { title: 'B', rows: rows(5, 6) },
      ]),
      'sections: at most 10 rows in all',
    ],
    [
      'eleven sections',
      list(Array.from({ length: 11 }, (_, i) => ({ title: `${i}`, rows: rows(1, i) }))),
      'sections: at most 10 entries',
    ],
    ['a section without rows', list([{ rows: [] }]), 'sections.0.rows: needs an entry'],
    [
      'two sections, one without a title',
      list([{ title: 'A', rows: rows(1) }, { rows: rows(1, 1) }]),
      'sections: needs titles where there is more than one section',
    ],
    [
      'one row id in two sections',
      list([
        { title: 'A', rows: rows(1) },
        { title: 'B', rows: rows(1) },
      ]),
      'sections: each row needs an id of its own',
    ],
    [
      'a long row',
      list([{ rows: [{ id: 'a', title: x(25) }] }]),
      'sections.0.rows.0.title: at most 24 characters',
    ],
    [
      'a long description',
      { ...list([]), sections: [{ rows: [{ id: 'a', title: 'A', description: x(73) }] }] },
      'sections.0.rows.0.description: at most 72 characters',
    ],
    [
      'a long list button',
      { ...list([{ rows: rows(1) }]), button: x(21) },
      'button: at most 20 characters',
    ],
    ['a long link title', { ...link, title: x(21) }, 'title: at most 20 characters'],
    [
      'no URL',
      { ...link, url: 'example.com' },
      'url: must be a URL that starts with https:// or http://',
    ],
    [
      'another protocol',
      { ...link, url: 'tel:123' },
      'url: must be a URL that starts with https:// or http://',
    ],
    ['a long caption', { ...image, text: x(1_025) }, 'text: at most 1024 characters'],
    ['a picture from nowhere', { kind: 'image' }, 'reply: needs a link or an id, and not both'],
    [
      'a picture from two places',
      { ...image, id: '1' },
      'reply: needs a link or an id, and not both',
    ],
    [
      'a caption of a sound',
      { kind: 'audio', id: '1', text: 'La' },
      'reply: has a field that is not known here',
    ],
    [
      'a field nobody knows',
      { ...image, colour: 'red' },
      'reply: has a field that is not known here',
    ],
    [
      'a kind nobody knows',
      { kind: 'hologram' },
      'kind: must be text, buttons, list, link, image, video, audio, document, sticker or template',
    ],
    [
      'nothing',
      undefined,
      'reply: must be text, buttons, list, link, image, video, audio, document, sticker or template',
    ],
    [
      'a template without a language',
      { ...template, language: undefined },
      'language: must be text',
    ],
    ['parameters that are no texts', { ...template, parameters: [1] }, 'parameters: must be texts'],
  ])(
    'is refused at the agent’s call for %s, and says why without a word of it',
    async (_, said, code) => {
      const error = await told(said as RichReply);
      expect(error).toBeInstanceOf(InvalidReply);
      expect(error).toMatchObject({ code, message: `this reply cannot be sent: ${code}` });
    },
  );

  it('keeps a place in the metadata for itself', async () => {
    expect(await told('Hello', { reply: { kind: 'buttons' } })).toMatchObject({
      code: 'metadata.reply: is taken',
    });
  });

  it('that cannot be stored is refused; in a text, what cannot be stored is left out', async () => {
    expect(await told({ ...template, parameters: ['\u0000'] })).toMatchObject({
      code: 'unstorable_text',
    });
    expect(await told(`a\u0000b\ud800`)).toMatchObject([{ content: 'ab\ufffd' }]);
  });

  it('of metadata that says nothing readable is its text', () => {
    for (const reply of ['buttons', { kind: 'buttons' }, { kind: 'hologram' }, null, 7])
      expect(richOf({ content: 'Hello', metadata: { reply } })).toEqual({
        kind: 'text',
        text: 'Hello',
      });
  });
});

describe('on a channel that allows less', () => {
  const channel: Channel = {
    split: splitReply,
    attend: () => () => {},
    send: ({ id }) => Promise.resolve({ id, status: 'sent' }),
  };
  const speak = (...said: (string | RichReply)[]) => {
    const agent = agentNamed('speaker', (turn) => {
      for (const one of said) turn.reply(one, { mood: 'good' });
    });
    return answer(turnWith({ lock: heldBy('speaker') }), [agent], { channel });
  };

  it('a long text becomes several replies, each with the metadata, the first with the quote', async () => {
    const { replies } = await speak({ kind: 'text', text: x(5_000), quote: 'wamid.1' });
    expect(replies).toEqual([
      {
        content: x(4_096),
        metadata: { mood: 'good', reply: { kind: 'text', quote: 'wamid.1' } },
        agent: 'speaker',
      },
      { content: x(904), metadata: { mood: 'good' }, agent: 'speaker' },
    ]);
  });

  it('everything else is one reply as it is', async () => {
    const { replies } = await speak('short', buttons('A'), { ...image, text: x(1_024) });
    expect(replies).toHaveLength(3);
  });

  it('each part counts: more than a hundred are refused at the agent’s call', async () => {
    expect((await speak(x(409_600))).replies).toHaveLength(100);
    await expect(speak(x(409_601))).rejects.toThrow('a turn may hold 100 replies');
    await expect(speak('one', x(409_600))).rejects.toThrow(InvalidReply);
  });
});
