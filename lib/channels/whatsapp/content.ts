import type { JsonObject } from '../../json.ts';

/** What a message says. The shapes of the metadata stand in metadata.ts. */
export interface Content {
  text: string;
  metadata: JsonObject;
  /** Whether somebody is to answer it. */
  turn: boolean;
}

/** Says something that wants an answer. */
export const said = (kind: string, text: string | null, metadata: JsonObject = {}): Content => ({
  text: text ?? '',
  metadata: { kind, ...metadata },
  turn: true,
});

/** Only enters the history. */
export const noted = (kind: string, metadata: JsonObject, text = ''): Content => ({
  text,
  metadata: { kind, ...metadata },
  turn: false,
});
