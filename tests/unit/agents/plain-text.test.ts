import { describe, expect, it } from 'vitest';
import { isBlank, isCancel, plainText, saysNothing } from '../../../lib/agents/plain-text.ts';

describe('plainText', () => {
  it.each([
    ['zero-width spaces', 'app\u200bo\u200bint\u200bment'],
    ['joiners', 'a\u200dppoint\u200cment'],
    ['soft hyphens', 'appoint\u00adment'],
    ['word joiners and byte order marks', '\ufeffapp\u2060ointment'],
    ['variation selectors', 'appoint\ufe0fment'],
    ['direction marks', '\u202eappointment\u202c\u200e'],
    ['tag characters', 'appoint\u{e0061}\u{e007f}ment'],
    ['a grapheme joiner', 'appoint\u034fment'],
    ['full-width letters', 'ａｐｐｏｉｎｔｍｅｎｔ'],
    ['mathematical letters', '𝒂𝒑𝒑𝒐𝒊𝒏𝒕𝒎𝒆𝒏𝒕'],
    ['capitals', 'ApPoiNTMENT'],
    ['full-width capitals with zero-width spaces', 'ＡＰＰ\u200bＯＩＮＴＭＥＮＴ'],
    ['blanks around', ' \t\u00a0appointment\n\u3000'],
  ])('reads through %s', (_, text) => {
    expect(plainText(text)).toBe('appointment');
  });

  it('opens ligatures and full-width digits', () => {
    expect(plainText('oﬃce ２０４１')).toBe('office 2041');
  });

  it('keeps words, accents, other scripts and emoji apart as they are', () => {
    expect(plainText('Où est mon café? 你好 שלום 😀')).toBe('où est mon café? 你好 שלום 😀');
  });

  it('makes nothing of what holds nothing visible', () => {
    expect(plainText('\u200b \ufeff')).toBe('');
  });
});

describe('isBlank', () => {
  it.each([
    '',
    '   ',
    ' \n\t\u00a0\u3000 ',
    '\u200b\u200d\u2060\ufeff',
    '\u202e\u202c',
    '\ufe0f',
    '\u0001\u001b',
    '\u2028\u2029',
    '\u3164\u115f',
    '\u2800',
    '\u{e0067}\u{e007f}',
  ])('sees nothing in %j', (text) => {
    expect(isBlank(text)).toBe(true);
  });

  it.each([
    '.',
    '0',
    '?',
    '😀',
    '👍🏽',
    '1\ufe0f\u20e3',
    '\u202ea',
    '\ufffd',
    '\uffff',
    '\ue000',
    'ㅤa',
  ])('sees something in %j', (text) => {
    expect(isBlank(text)).toBe(false);
  });
});

describe('saysNothing', () => {
  it.each([
    ['a text', { kind: 'text' }],
    ['a text with a name beside it', { kind: 'text', profile: { name: 'Ana' } }],
    ['a text of another channel', {}],
  ])('is so of %s without anything visible', (_, metadata) => {
    expect(saysNothing({ content: '\u200b', metadata })).toBe(true);
    expect(saysNothing({ content: 'a', metadata })).toBe(false);
  });

  it.each([
    ['a picture', { kind: 'image', media: { id: '1' } }],
    ['a place', { kind: 'location' }],
    ['what a page sends along', { button: 'yes' }],
  ])('is not so of %s without a text', (_, metadata) => {
    expect(saysNothing({ content: '', metadata })).toBe(false);
  });
});

describe('isCancel', () => {
  it.each([
    'cancel',
    'Cancel',
    'CANCEL!',
    ' cancel. ',
    'cancel that',
    'cancel this',
    'cancel it',
    'please cancel',
    'cancel please',
    'Please, cancel that!',
    'start over',
    'Start over, please.',
    'start  over',
    'start\nover',
    'can\u200bcel',
    'ｃａｎｃｅｌ',
    '*cancel*',
  ])('hears %j', (text) => {
    expect(isCancel(text)).toBe(true);
  });

  it.each([
    '',
    'cancellation',
    'do not cancel',
    'cancel my appointment on Friday',
    'can I cancel later?',
    'I want to start over with piano lessons',
    'start',
    'over',
    'startover',
    'hello',
  ])('does not hear it in %j', (text) => {
    expect(isCancel(text)).toBe(false);
  });
});
