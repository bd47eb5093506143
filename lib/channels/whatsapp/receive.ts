import type { JsonObject } from '../../json.ts';
import { log } from '../../log.ts';
import type { Frame } from '../../frame.ts';
import { receive, type TurnServices, workAll } from '../../turn.ts';
import { type Inbound, parseWebhook, WHATSAPP } from './parse.ts';

/** Lines of one kind that a single body may write to the log. */
const MOST_LINES = 10;

/**
 * Takes what Meta sent: all messages in one ACCEPT, then all statuses in one statement, so that a status finds the
 * reply to a message it came with. The agents work behind the answer's back.
 *
 * @param keep lets work that outlives the answer go on
 * @returns how many messages and statuses there were
 * @throws {BatonError} `storage_unavailable`: not all of it is stored; sent again, nothing happens twice
 */
export async function receiveWebhook(
  services: TurnServices,
  body: JsonObject,
  frame: Frame,
  keep: (work: Promise<unknown>) => void,
): Promise<{ messages: number; statuses: number }> {
  const { storage, config } = services;
  const { phoneNumberIds } = config.whatsapp;
  const inbound = parseWebhook(body, { phoneNumberIds, humanTtl: config.humanTtl });
  const { messages, statuses } = inbound;
  report(inbound);
  if (messages.length > 0) {
    const since = performance.now();
    const accepted = await receive(services, messages, frame, config.burstWindowMs);
    keep(workAll(services, accepted, frame, since, config.burstWindowMs));
  }
  if (statuses.length > 0) await storage.noteStatuses(WHATSAPP, statuses);
  return { messages: messages.length, statuses: statuses.length };
}

/** A line for all that was passed by, and one for each thing somebody should look at. */
function report({ ignored, alerts }: Inbound): void {
  if (ignored.length > 0) {
    const what = [...new Set(ignored)].slice(0, MOST_LINES);
    log('info', 'whatsapp_ignored', { what, count: ignored.length });
  }
  const distinct = new Map(alerts.map((alert) => [JSON.stringify(alert), alert]));
  for (const { kind, ...more } of [...distinct.values()].slice(0, MOST_LINES))
    log(more.owner === true ? 'error' : 'warn', `whatsapp_${kind}`, more);
}
