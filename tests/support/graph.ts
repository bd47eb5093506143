import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../dev/listen.ts';

export interface Sent {
  path: string;
  authorization: string | undefined;
  body: {
    to?: string;
    recipient?: string;
    text: { body: string };
    biz_opaque_callback_data: string;
  };
}

export interface GraphAnswer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** A stand-in for Meta's Graph API that takes every message and remembers it. */
export interface Graph {
  url: string;
  sent: Sent[];
  /** Called when a message has come in, before it is answered. */
  onSend(listener: (sent: Sent) => void | Promise<void>): void;
  /** How the next messages are answered; 'drop' takes the message and breaks the connection. */
  answerNext(...answers: (GraphAnswer | 'drop')[]): void;
  close(): Promise<void>;
}

export async function startGraph(): Promise<Graph> {
  const sent: Sent[] = [];
  const queue: (GraphAnswer | 'drop')[] = [];
  let listener: (message: Sent) => void | Promise<void> = () => {};
  const server = createServer((request, response) => {
    void (async () => {
      const message: Sent = {
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body: JSON.parse(await text(request)),
      };
      sent.push(message);
      await listener(message);
      const answer = queue.shift();
      if (answer === 'drop') return void response.destroy();
      if (answer !== undefined) {
        const { status, headers, body } = answer;
        response.writeHead(status, headers);
        return void response.end(typeof body === 'string' ? body : JSON.stringify(body));
      }
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          messaging_product: 'whatsapp',
          messages: [{ id: `wamid.sent.${sent.length}` }],
        }),
      );
    })();
  });
  const port = await listenLocally(server);
  return {
    url: `http://127.0.0.1:${port}`,
    sent,
    onSend(next) {
      listener = next;
    },
    answerNext: (...answers) => void queue.push(...answers),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
