import type { DeviceId, Turn } from '../../../lib/storage/storage.ts';
import {
  type Call,
  type CallOf,
  type Evidence,
  type MessageRow,
  questionOf,
  replyTo,
  type Violation,
} from '../history.ts';
import { turnsByDevice, violation } from './facts.ts';

/** What may become of a message; none of it changes any more. */
const FATES = ['answered', 'failed', 'recorded'];

interface Asked {
  device: DeviceId;
  externalId: string;
  call: Call;
  /** What the storage said of it; null: no answer came. */
  said: { id: string; status: string; duplicate: boolean } | null;
}

/** Each accepted message is kept once, and is answered by one reply, set aside, or recorded under a person. */
export function checkAnswers(evidence: Evidence): Violation[] {
  const asked = evidence.calls.flatMap((call) => (call.kind === 'accept' ? askedIn(call) : []));
  const rows = evidence.dump.messages;
  const questions = rows.filter(({ role }) => role === 'user');
  const replies = Map.groupBy(
    rows.filter(({ role }) => role === 'assistant'),
    ({ content }) => content,
  );
  return [
    ...kept(asked, questions),
    ...questions.flatMap((row) =>
      answered(row, replies.get(replyTo(row.device, row.externalId ?? '')) ?? []),
    ),
    ...strayReplies(rows),
    ...handedAgain(evidence),
    ...commitsByHalves(evidence.calls),
  ];
}

function askedIn(call: CallOf<'accept'>): Asked[] {
  const [messages] = call.args;
  const said = call.result.known ? call.result.value.flatMap((device) => device.messages) : [];
  return messages.flatMap(({ sender, externalId }, index) => {
    if (!('device' in sender)) return [];
    const answer = said.find((one) => one.index === index) ?? null;
    return [{ device: sender.device, externalId, call, said: answer }];
  });
}

/** An accepted message has one row, by the one id it was given, and only one call has stored it. */
function kept(asked: Asked[], questions: MessageRow[]): Violation[] {
  const rows = Map.groupBy(questions, ({ device, externalId }) => `${device} ${externalId}`);
  const tries = Map.groupBy(asked, ({ device, externalId }) => `${device} ${externalId}`);
  const strays = questions.filter(
    ({ device, externalId }) => !tries.has(`${device} ${externalId}`),
  );
  return [
    ...strays.map(({ device, id }) => violation('answer', device, `nobody sent the message ${id}`)),
    ...[...tries].flatMap(([key, all]) => keptOnce(all, rows.get(key) ?? [])),
  ];
}

function keptOnce(tries: Asked[], rows: MessageRow[]): Violation[] {
  const told = tries.filter(({ said, call }) => said !== null || call.result.known);
  const found: Violation[] = [];
  const [first] = tries;
  if (first === undefined) return found;
  const tell = (what: string, ...calls: Call[]) =>
    found.push(violation('answer', first.device, what, ...calls));
  if (rows.length > 1)
    tell(`a message is stored ${rows.length} times`, ...tries.map(({ call }) => call));
  // one that is named twice in one batch is one message
  const storing = new Set(
    told.filter(({ said }) => said?.duplicate === false).map(({ call }) => call),
  );
  if (storing.size > 1) tell('two calls say that they stored one message', ...storing);
  for (const { said, call } of told) {
    const row = rows.find(({ id }) => id === said?.id);
    if (said === null) tell('an accepted message is passed over in the answer', call);
    else if (row === undefined) tell(`the accepted message ${said.id} is gone`, call);
    else if (FATES.includes(said.status) && said.status !== row.status)
      tell(`the message ${row.id} was ${said.status} and is ${row.status}`, call);
  }
  return found;
}

function answered(row: MessageRow, naming: MessageRow[]): Violation[] {
  const { device, id, status, fence } = row;
  const tell = (what: string) => [violation('answer', device, `the message ${id} ${what}`)];
  if (!FATES.includes(status)) return tell(`is still ${status}, though all that waits was taken`);
  if (row.content !== questionOf(device, row.externalId ?? '')) return tell('has another content');
  if (status !== 'answered')
    return naming.length === 0 ? [] : tell(`is ${status} and has ${naming.length} replies`);
  const [reply] = naming;
  if (reply === undefined || naming.length > 1) return tell(`has ${naming.length} replies`);
  const isItsOwn = reply.answers?.includes(id) === true && reply.fence === fence;
  return isItsOwn && reply.session === row.session ? [] : tell('has the reply of another turn');
}

/** A reply answers messages of its own device that count as answered. */
function strayReplies(rows: MessageRow[]): Violation[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const names = new Set(
    rows.flatMap(({ role, device, externalId }) =>
      role === 'user' ? replyTo(device, externalId ?? '') : [],
    ),
  );
  return rows
    .filter(({ role }) => role === 'assistant')
    .flatMap(({ id, device, content, answers }) => {
      const messages = (answers ?? []).map((message) => byId.get(message));
      const isWhole = messages.every((one) => one?.device === device && one.status === 'answered');
      if (isWhole && messages.length > 0 && names.has(content)) return [];
      return [violation('answer', device, `the reply ${id} answers what it must not`)];
    });
}

/** What was answered is never handed to anybody again. */
function handedAgain({ calls, dump }: Evidence): Violation[] {
  const rows = new Map(dump.messages.map((row) => [row.id, row]));
  return [...turnsByDevice(calls).values()].flat().flatMap(({ device, fence, turn, call }) =>
    turn.messages.flatMap(({ id }) => {
      const by = rows.get(id)?.fence ?? null;
      if (by === null || Number(by) >= fence) return [];
      const what = `the message ${id}, answered by ${by}, was handed to ${fence}`;
      return [violation('answer', device, what, call)];
    }),
  );
}

/** A commit answers exactly what was handed over. */
function commitsByHalves(calls: readonly Call[]): Violation[] {
  const turns = new Map<string, Turn>(
    [...turnsByDevice(calls)].flatMap(([device, list]) =>
      list.map(({ fence, turn }) => [`${device} ${fence}`, turn] as const),
    ),
  );
  const list = (items: { id: string }[]) =>
    items
      .map(({ id }) => id)
      .toSorted()
      .join(' ');
  return calls.flatMap((call) => {
    if (call.kind !== 'commit' || !call.result.known) return [];
    const { value } = call.result;
    const turn = turns.get(`${call.args[0]} ${call.args[1]}`);
    if (value.outcome !== 'committed' || turn === undefined) return [];
    if (list(value.answered) === list(turn.messages)) return [];
    return [
      violation(
        'answer',
        call.args[0],
        'a commit answers other messages than were handed over',
        call,
      ),
    ];
  });
}
