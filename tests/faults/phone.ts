import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../dev/listen.ts';

/** A reply that has reached a person's phone. */
export interface Shown {
  to: string;
  text: string;
  /** The reply's row, as Meta gives it back with every status. */
  replyId: string;
}

/** Where a call of the Graph API is stopped. */
export type SendingStop =
  /** The whole message is there, and lost on Meta's side. */
  | 'heard'
  /** The person has it; the answer never comes. */
  | 'shown';

/** A stand-in for Meta's Graph API with people's phones behind it. */
export interface Phones {
  url: string;
  shown: Shown[];
  /** Stops the next call, and once it stands still gives the way to answer it after all. */
  stop(at: SendingStop): Promise<() => void>;
  close(): Promise<void>;
}

interface Body {
  to: string;
  type?: string;
  text?: { body: string };
  biz_opaque_callback_data: string;
}

/** @param shown where to note what was shown; several stand-ins may share one list */
export async function startPhones(shown: Shown[] = []): Promise<Phones> {
  let trap: { at: SendingStop; sprung: (answer: () => void) => void } | null = null;
  const spring = (at: SendingStop, answer: () => void): boolean => {
    if (trap?.at !== at) return false;
    trap.sprung(answer);
    trap = null;
    return true;
  };
  const server = createServer((request, response) => {
    void (async () => {
      const body = JSON.parse(await text(request)) as Body;
      const answer = () => {
        response.setHeader('content-type', 'application/json');
        const messages = [{ id: `wamid.${body.biz_opaque_callback_data}` }];
        response.end(JSON.stringify({ messages }));
      };
      // a mark that a message was read, or that somebody types, is no message
      if (body.text !== undefined) {
        if (spring('heard', answer)) return;
        shown.push({ to: body.to, text: body.text.body, replyId: body.biz_opaque_callback_data });
        if (spring('shown', answer)) return;
      }
      answer();
    })();
  });
  const port = await listenLocally(server);
  return {
    url: `http://127.0.0.1:${port}`,
    shown,
    stop: (at) => new Promise((sprung) => (trap = { at, sprung })),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
