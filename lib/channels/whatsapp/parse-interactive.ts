import type { JsonObject, JsonValue } from '../../json.ts';
import { type Content, noted, said } from './content.ts';
import { document, name, object, present, words } from './parse-fields.ts';

/** Characters of a filled-in form that are kept where it cannot be read. */
const MAX_RAW = 65_536;

/** An answer to something that was sent: a tapped button, a chosen row, a filled-in form. */
export function readInteractive(interactive: JsonObject): Content | null {
  const { type } = interactive;
  if (type === 'button_reply' || type === 'list_reply') return readChoice(type, interactive[type]);
  if (type === 'nfm_reply') return readForm(interactive[type]);
  return noted('unknown', { type: `interactive.${name(type)}` });
}

function readChoice(kind: string, value: JsonValue | undefined): Content | null {
  const reply = object(value);
  const title = words(reply?.['title']);
  const choice = present({ id: words(reply?.['id']), description: words(reply?.['description']) });
  return title === null && choice['id'] === undefined ? null : said(kind, title, { choice });
}

/** What was filled in comes as JSON inside a string; kept as it is where it is broken. */
function readForm(value: JsonValue | undefined): Content | null {
  const reply = object(value);
  const json = reply?.['response_json'];
  if (reply === null || typeof json !== 'string') return null;
  const data = document(json);
  const raw = data === null ? words(json, MAX_RAW) : null;
  return said('flow_reply', words(reply['body']), {
    flow: present({ name: words(reply['name'], 256), data, raw }),
  });
}
