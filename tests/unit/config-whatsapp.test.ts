import { describe, expect, it } from 'vitest';
import { configOf, mistakesOf } from '../support/settings.ts';

describe('WHATSAPP_API_URL', () => {
  it('loses slashes at its end, so that a path can follow', () => {
    expect(configOf({ WHATSAPP_API_URL: 'http://localhost:4000//' }).whatsapp.apiUrl).toBe(
      'http://localhost:4000',
    );
  });

  it.each(['graph.facebook.com', 'ftp://graph.facebook.com', '/v26.0'])('may not be %s', (url) => {
    expect(mistakesOf({ WHATSAPP_API_URL: url })).toEqual([
      'WHATSAPP_API_URL must be a URL that starts with https:// or http://.',
    ]);
  });
});

describe('WHATSAPP_ACCESS_TOKEN', () => {
  it.each(['EAAG EAAG', 'EAAG\nEAAG', 'EAAGé'])('may not be %j', (token) => {
    expect(mistakesOf({ WHATSAPP_ACCESS_TOKEN: token })).toEqual([
      'WHATSAPP_ACCESS_TOKEN must be the token alone, without spaces or line breaks.',
    ]);
  });
});

describe('WHATSAPP_REOPEN_TEMPLATE', () => {
  it.each([
    ['reopen_chat', 'reopen_chat', 'en_US'],
    ['reopen_chat:de', 'reopen_chat', 'de'],
    ['reopen_2:pt_BR', 'reopen_2', 'pt_BR'],
  ])('%s is a name and a language', (text, name, language) => {
    const { whatsapp } = configOf({ WHATSAPP_REOPEN_TEMPLATE: text });
    expect(whatsapp.reopenTemplate).toEqual({ name, language });
  });

  it.each(['Reopen chat', 'reopen_chat:', 'reopen_chat:English', ':en', 'a:en:US', 'a-b'])(
    'may not be %s',
    (text) => {
      expect(mistakesOf({ WHATSAPP_REOPEN_TEMPLATE: text })).toEqual([
        'WHATSAPP_REOPEN_TEMPLATE must be the name of a template and its language, such as reopen_chat:en_US.',
      ]);
    },
  );
});

describe('lists of WhatsApp', () => {
  it('hold the one verify token that is set, whatever stands in it', () => {
    const { whatsapp } = configOf({ WHATSAPP_VERIFY_TOKEN: 'one, and no other' });
    expect(whatsapp.verifyTokens).toEqual(['one, and no other']);
  });

  it('hold the numbers and the app secrets that are set', () => {
    const { whatsapp } = configOf({
      WHATSAPP_PHONE_NUMBER_IDS: '200000000000001, 200000000000002,',
      WHATSAPP_APP_SECRET: 'new,old',
    });
    expect(whatsapp.phoneNumberIds).toEqual(['200000000000001', '200000000000002']);
    expect(whatsapp.appSecrets).toEqual(['new', 'old']);
  });
});
