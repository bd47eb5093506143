import { describe, expect, it } from 'vitest';
import { isSigned } from '../../../lib/channels/whatsapp/signature.ts';
import { toSecret } from '../../../lib/secrets.ts';
import { signBytes } from '../../support/sign.ts';

const text = 'app-secret';
const secret = toSecret(text);
const old = toSecret('old');
// as Meta prints it: a slash is escaped, so that parsed and printed again the bytes are others
const body = Buffer.from(
  String.raw`{"object":"whatsapp_business_account","url":"https:\/\/example.com\/","mail":"ana\u0040example.com"}`,
);
const signed = (bytes: Uint8Array, by = text) => `sha256=${signBytes(bytes, by)}`;
const right = signed(body);

describe('isSigned', () => {
  it('takes what the app secret signed', () => {
    expect(isSigned(body, right, [secret])).toBe(true);
  });

  it('takes any secret of the list, so that it can be changed', () => {
    expect(isSigned(body, signed(body, 'old'), [secret, old])).toBe(true);
    expect(isSigned(body, signed(body, 'older'), [secret, old])).toBe(false);
  });

  it('takes nothing where no secret is set, not even what the empty one signed', () => {
    expect(isSigned(body, right, [])).toBe(false);
    expect(isSigned(body, signed(body, ''), [])).toBe(false);
  });

  it('checks an empty body as any other', () => {
    expect(isSigned(new Uint8Array(), signed(new Uint8Array()), [secret])).toBe(true);
    expect(isSigned(new Uint8Array(), right, [secret])).toBe(false);
  });

  it('is over the raw bytes: text that only looks the same is another body', () => {
    const printedAgain = Buffer.from(JSON.stringify(JSON.parse(body.toString())));
    expect(isSigned(printedAgain, right, [secret])).toBe(false);
    expect(isSigned(Buffer.concat([body, Buffer.from('\n')]), right, [secret])).toBe(false);
    const broken = Uint8Array.of(0x22, 0xff, 0x22);
    expect(isSigned(broken, signed(broken), [secret])).toBe(true);
    expect(isSigned(broken, signed(Buffer.from('"\ufffd"')), [secret])).toBe(false);
  });

  const hex = right.slice('sha256='.length);
  it.each<[string, string | null]>([
    ['no header', null],
    ['an empty header', ''],
    ['no prefix', hex],
    ['another algorithm', `sha1=${hex.slice(0, 40)}`],
    ['another name for it', `sha-256=${hex}`],
    ['the prefix twice', `sha256=sha256=${hex}`],
    ['one digit changed', `sha256=${hex.startsWith('0') ? '1' : '0'}${hex.slice(1)}`],
    ['one digit too few', right.slice(0, -1)],
    ['one digit too many', `${right}0`],
    ['64 letters that are no digits', `sha256=${'z'.repeat(64)}`],
    ['two letters that are no digits at the end', `${right.slice(0, -2)}zz`],
    ['letters of no ASCII', `sha256=${'é'.repeat(64)}`],
    ['two values', `${right}, ${right}`],
    ['a line more', `${right}\n`],
    ['the signature of another secret', signed(body, 'other')],
    ['the signature of the empty secret', signed(body, '')],
  ])('refuses %s', (_, header) => {
    expect(isSigned(body, header, [secret])).toBe(false);
  });
});
