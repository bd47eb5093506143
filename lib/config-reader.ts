import type { Config } from './config.ts';
import { type Secret, toSecret } from './secrets.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const SECRET_LENGTH = 32;

/** Reads one variable after the other and collects a sentence per mistake, so that all are seen at once. */
export class Reader {
  readonly mistakes: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** An empty variable is an unset one: that is how hosting panels clear it. */
  text(name: string): string | null {
    const value = this.#env[name]?.trim();
    return value === undefined || value === '' ? null : value;
  }

  list(name: string): string[] {
    const items = (this.text(name) ?? '').split(',').map((item) => item.trim());
    return items.filter((item) => item !== '');
  }

  secrets(name: string): Secret[] {
    const secrets = this.list(name);
    if (secrets.some((secret) => secret.length < SECRET_LENGTH)) {
      this.mistakes.push(
        `${name} must be at least ${SECRET_LENGTH} characters long, each entry of the list.`,
      );
    }
    return secrets.map(toSecret);
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === null) return fallback;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    this.mistakes.push(`${name} must be a whole number from ${min} to ${max}.`);
    return fallback;
  }

  oneOf<const Option extends string>(
    name: string,
    options: readonly Option[],
    fallback: Option,
  ): Option {
    const text = this.text(name);
    if (text === null) return fallback;
    const found = options.find((option) => option === text.toLowerCase());
    if (found === undefined) this.mistakes.push(`${name} must be one of: ${options.join(', ')}.`);
    return found ?? fallback;
  }

  /** The one that is set, of several names that hosting panels give to the same thing. */
  spelling(...names: readonly [string, ...string[]]): string {
    return names.filter((name) => this.text(name) !== null)[0] ?? names[0];
  }

  /** A URL and its token. Either without the other is a mistake. */
  restService(prefix: string): { url: string; token: string } | null {
    const url = this.url(`${prefix}_URL`, ['https:', 'http:']);
    const token = this.text(`${prefix}_TOKEN`);
    if (url !== null && token !== null) return { url, token };
    if (url !== null) this.mistakes.push(`${prefix}_TOKEN must be set where ${prefix}_URL is.`);
    if (token !== null) this.mistakes.push(`${prefix}_URL must be set where ${prefix}_TOKEN is.`);
    return null;
  }

  url(name: string, protocols: readonly string[]): string | null {
    const text = this.text(name);
    if (text === null) return null;
    if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
      this.mistakes.push(
        `${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}.`,
      );
    }
    return text;
  }

  /** Who signs users' tokens, and whom for: either keys to be fetched or a secret, and always both names. */
  userTokens(): Config['userTokens'] {
    const jwksUrl = this.url('USER_JWT_JWKS_URL', ['https:', 'http:']);
    const secrets = this.secrets('USER_JWT_SECRET');
    const issuer = this.text('USER_JWT_ISSUER');
    const audience = this.text('USER_JWT_AUDIENCE');
    if (jwksUrl !== null && /^http:\/\/(?!localhost[:/]|127\.0\.0\.1[:/])/.test(jwksUrl)) {
      this.mistakes.push('USER_JWT_JWKS_URL must be a URL that starts with https://.');
    }
    if (jwksUrl !== null && secrets.length > 0) {
      this.mistakes.push('USER_JWT_SECRET must be left out where USER_JWT_JWKS_URL is set.');
    }
    const keys = jwksUrl !== null || secrets.length > 0;
    if (!keys && issuer === null && audience === null) return null;
    if (!keys) {
      this.mistakes.push(
        'USER_JWT_JWKS_URL must be set, or USER_JWT_SECRET, where USER_JWT_ISSUER or USER_JWT_AUDIENCE is.',
      );
    }
    for (const [name, value] of Object.entries({ ISSUER: issuer, AUDIENCE: audience })) {
      if (keys && value === null) {
        this.mistakes.push(`USER_JWT_${name} must be set where the keys of users' tokens are.`);
      }
    }
    return {
      issuer: issuer ?? '',
      audience: audience ?? '',
      keys: jwksUrl === null ? { secrets } : { jwksUrl },
    };
  }

  origins(name: string): string[] {
    const origins = this.list(name);
    if (!origins.every((origin) => /^(\*|[a-z][a-z\d+.-]*:\/\/[^/*\sA-Z]+(:\*)?)$/.test(origin))) {
      this.mistakes.push(
        `${name} must be origins such as https://shop.example, without a path, in lower case.`,
      );
    }
    return origins;
  }

  /** What goes into a header as it is; what fetch says of one that cannot would hold it. */
  token(name: string): string | null {
    const text = this.text(name);
    if (text === null || /^[\x21-\x7e]+$/.test(text)) return text;
    this.mistakes.push(`${name} must be the token alone, without spaces or line breaks.`);
    return null;
  }

  /** A template's name, and after a colon the language in which it was approved. */
  template(name: string): { name: string; language: string } | null {
    const text = this.text(name);
    if (text === null) return null;
    const parts = /^([a-z0-9_]{1,512})(?::([a-z]{2,3}(?:_[A-Z]{2,3})?))?$/.exec(text);
    if (parts?.[1] !== undefined) return { name: parts[1], language: parts[2] ?? 'en_US' };
    this.mistakes.push(
      `${name} must be the name of a template and its language, such as reopen_chat:en_US.`,
    );
    return null;
  }
}
