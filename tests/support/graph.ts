import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenLocally } from '../../dev/listen.ts';

export interface Sent {
  path: string;
  authorization: string | undefined;
  body: {
    to?: string;
    recipient?: string;
    type: string;
    text: { body: string };
    template?: { name: string; language: { code: string } };
    biz_opaque_callback_data: string;
  };
}

/** A read receipt, and somebody who is typing. */
export interface Receipt {
  path: string;
  body: { status: 'read'; message_id: string; typing_indicator?: { type: string } };
}

export interface GraphAnswer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** Meta took the message, and its answer is never there: `drop` breaks the connection, `hang` keeps it open. */
type Fate = GraphAnswer | 'drop' | 'hang';

/** A stand-in for Meta's Graph API that takes every message and remembers it. */
export interface Graph {
  url: string;
  /** The messages, in the order in which they came. */
  sent: Sent[];
  receipts: Receipt[];
  /** When the last message to a number was answered, by `Date.now()`. */
  answeredAt: ReadonlyMap<string, number>;
  /** Called when a message has come in, before it is answered. */
  onSend(listener: (sent: Sent) => void | Promise<void>): void;
  /** How the next messages are answered. */
  answerNext(...answers: Fate[]): void;
  /** How every receipt is answered from now on. */
  answerReceipts(answer: Fate): void;
  /** Forgets how messages were to be answered: one that was given up before it was sent has left its answer. */
  reset(): void;
  close(): Promise<void>;
}

const RECEIPT_TAKEN: GraphAnswer = {
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: { success: true },
};

export async function startGraph(): Promise<Graph> {
  const sent: Sent[] = [];
  const receipts: Receipt[] = [];
  const answeredAt = new Map<string, number>();
  const queue: Fate[] = [];
  let ofReceipts: Fate = RECEIPT_TAKEN;
  let listener: (message: Sent) => void | Promise<void> = () => {};

  const fateOf = async (request: Sent | Receipt): Promise<Fate> => {
    if ('status' in request.body) {
      receipts.push(request as Receipt);
      return ofReceipts;
    }
    const message = request as Sent;
    sent.push(message);
    const id = `wamid.sent.${sent.length}`;
    await listener(message);
    return (
      queue.shift() ?? {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: { messaging_product: 'whatsapp', messages: [{ id }] },
      }
    );
  };

  const server = createServer((request, response) => {
    void (async () => {
      const { url: path = '', headers } = request;
      const body = JSON.parse(await text(request));
      const fate = await fateOf({ path, authorization: headers.authorization, body });
      answeredAt.set(body.to, Date.now());
      if (fate === 'hang') return;
      if (fate === 'drop') return void response.destroy();
      response.writeHead(fate.status, fate.headers);
      response.end(typeof fate.body === 'string' ? fate.body : JSON.stringify(fate.body));
    })();
  });
  const port = await listenLocally(server);
  return {
    url: `http://127.0.0.1:${port}`,
    sent,
    receipts,
    answeredAt,
    onSend(next) {
      listener = next;
    },
    answerNext: (...answers) => void queue.push(...answers),
    answerReceipts(answer) {
      ofReceipts = answer;
    },
    reset() {
      queue.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
