import { BatonError } from '../../lib/errors.ts';
import type {
  Commit,
  Delivery,
  DeviceId,
  Fence,
  Guard,
  IncomingMessage,
  Lane,
  OutgoingReply,
  Turn,
  TurnTerms,
  Version,
} from '../../lib/storage/storage.ts';
import type { JsonObject } from '../../lib/json.ts';
import type {
  Answered,
  Command,
  Document,
  Fate,
  GuardBy,
  Said,
  Terms,
  Told,
  Who,
} from './commands.ts';
import { Names } from './names.ts';
import type { Side } from './sides.ts';

/** A reply that is or was to be sent, by its place among all of them. */
interface Sendable {
  place: number;
  id: string;
  channel: string;
  account: string;
}

/** A turn that was given on this side. */
interface Granted {
  device: DeviceId;
  fence: Fence;
  lane: Lane;
  channel: string;
  account: string;
  replies: Sendable[];
  /** The last that was tried to commit with it. */
  content: Commit | null;
}

/** What a command did: its answer, and the devices that it was about. */
export interface Played {
  answer: unknown;
  touched: Set<DeviceId>;
}

/** Plays commands on one side and remembers what was given there, so that later commands can name it. */
export class Player {
  readonly side: Side;
  readonly names = new Names();
  readonly devices: DeviceId[];
  /** The side's clock. */
  now: number;
  readonly #start: number;
  readonly #turns: Granted[] = [];
  readonly #replies: Sendable[] = [];
  /** Newest first. */
  readonly #sessions: string[] = [];
  readonly #locks = new Map<DeviceId, Version[]>();
  readonly #states = new Map<DeviceId, Version[]>();
  #recoveries = 0;

  constructor(side: Side, web: readonly DeviceId[], start: number) {
    this.side = side;
    this.devices = [...web];
    this.#start = start;
    this.now = start;
  }

  async setClock(at: number): Promise<void> {
    this.now = at;
    await this.side.setClock(at);
  }

  /** The answer by names, so that two sides can be compared; null where the command names nothing there is. */
  async play(command: Command): Promise<Played | null> {
    const touched = new Set<DeviceId>();
    try {
      const answer = await this.#perform(command, touched);
      return answer === undefined ? null : { answer: this.names.in(answer, this.#start), touched };
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      return { answer: { refused: error.code }, touched };
    }
  }

  /** Everything that can be seen of a device. */
  async observe(device: DeviceId): Promise<unknown> {
    const { storage } = this.side;
    const [lock, state, messages, sessions, events] = await Promise.all([
      storage.getLock(device),
      storage.getState(device),
      this.side.messages(device),
      this.side.sessions(device),
      this.side.events(device),
    ]);
    note(this.#locks, device, lock.lock?.version);
    note(this.#states, device, state.version ?? undefined);
    const seen = this.names.in({ lock, conversation: state, messages, events }, this.#start);
    // two of one millisecond come in any order; their messages have named them
    const named = sessions.map(({ id, ...rest }) => ({
      name: this.names.of('session', id),
      ...rest,
    }));
    return { seen, sessions: named.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  async #perform(command: Command, touched: Set<DeviceId>): Promise<unknown> {
    const { storage } = this.side;
    switch (command.do) {
      case 'accept': {
        if (command.said.length === 0) return undefined;
        const messages = command.said.map((said) => this.#message(said, command.lane));
        const accepted = (await storage.accept(messages, termsOf(command))).toSorted(byDevice);
        for (const { device, turn, messages: stored } of accepted) {
          touched.add(device);
          for (const { sessionId } of stored) this.#noteSession(sessionId);
          if (!this.devices.includes(device)) this.devices.push(device);
          this.#learn(turn, command.lane);
        }
        return accepted;
      }
      case 'next': {
        const devices = command.devices.map((n) => this.#device(n));
        for (const device of devices) touched.add(device);
        const { now, turns } = await storage.next(devices, termsOf(command));
        const ordered = turns.toSorted(byDevice);
        for (const turn of ordered) this.#learn(turn, command.lane);
        return { now, turns: ordered };
      }
      case 'recover':
        return this.#recover(command, touched);
      case 'clean up':
        return this.#cleanUp(command.batch);
      case 'note statuses':
        return this.#noteStatuses(command.told);
      case 'commit':
      case 'commit again':
      case 'settle':
      case 'extend':
      case 'give back':
      case 'fail': {
        const turn = this.#turns[command.turn];
        if (turn === undefined) return undefined;
        touched.add(turn.device);
        return this.#end(turn, command);
      }
      case 'set lock':
      case 'clear lock':
      case 'put state':
      case 'patch state':
      case 'clear state':
      case 'read answer': {
        const device = this.#device(command.device);
        touched.add(device);
        return this.#write(device, command);
      }
      case 'list failed':
      case 'retry failed': {
        const { limit } = command;
        const device = command.device === null ? null : this.#device(command.device);
        if (device !== null) touched.add(device);
        return command.do === 'list failed'
          ? storage.listFailed(device, null, limit)
          : storage.retryFailed(device, limit);
      }
      case 'erase device':
      case 'link':
      case 'unlink': {
        const device = this.#device(command.device);
        touched.add(device);
        return command.do === 'link'
          ? this.#link(device, this.#device(command.to), command.code)
          : command.do === 'unlink'
            ? storage.unlink(device)
            : storage.eraseDevice(device);
      }
      case 'erase user':
        for (const device of this.devices) touched.add(device);
        return this.#eraseUser(command.user, command.limit);
      case 'create session':
        return this.#createSession(command, touched);
      case 'patch session':
      case 'delete session':
      case 'read history':
      case 'export': {
        const session = this.#sessions[command.session];
        return session === undefined ? undefined : this.#inSession(session, command);
      }
      case 'list sessions': {
        const { user, active, includeExpired } = command;
        const device = command.device === null ? null : this.#device(command.device);
        const scope = { user, device, active, includeExpired };
        const { sessions, total } = await storage.listSessions(scope, null, 1_000);
        // two of one millisecond come in any order
        const named = sessions.map((one) => ({
          ...asThread(one),
          name: this.names.of('session', one.id),
        }));
        return { total, sessions: named.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
      }
      case 'wait':
      case 'wait until':
        return undefined;
    }
  }

  async #link(device: DeviceId, to: DeviceId, code: 'right' | 'wrong'): Promise<unknown> {
    const { storage } = this.side;
    const offered = await storage.offerLink(to, ['111111', '222222'], 600);
    const tried = code === 'wrong' ? '999999' : (offered.link?.code ?? '999999');
    const limits = { own: 2, all: 5, seconds: 600 };
    return { offered, redeemed: await storage.redeemLink(device, tried, limits) };
  }

  /** Until nothing is left: which of a user's devices goes first is the storage's own affair. */
  async #eraseUser(user: string, limit: number): Promise<object> {
    const sums: Record<string, number> = {};
    for (let more = true; more;) {
      const run = await this.side.storage.eraseUser(user, limit);
      for (const [name, count] of Object.entries(run.receipt))
        sums[name] = (sums[name] ?? 0) + count;
      more = run.more;
    }
    return sums;
  }

  async #createSession(
    {
      device: n,
      id,
      user,
      ttl: ttlSeconds,
      living,
      hourly,
    }: Extract<Command, { do: 'create session' }>,
    touched: Set<DeviceId>,
  ): Promise<unknown> {
    const device = this.#device(n);
    touched.add(device);
    const { now, session } = await this.side.storage.createSession(
      {
        id: `5e551070-0000-4000-8000-00000000000${id}`,
        device,
        user,
        channel: 'chat',
        metadata: { id },
        ttlSeconds,
      },
      { living, hourly },
    );
    if (session !== null) this.#noteSession(session.id);
    return { now, session: session && asThread(session) };
  }

  async #inSession(
    id: string,
    command: Extract<
      Command,
      { do: 'patch session' | 'delete session' | 'read history' | 'export' }
    >,
  ): Promise<unknown> {
    const { storage } = this.side;
    switch (command.do) {
      case 'patch session': {
        const owner = command.owner === null ? null : this.#device(command.owner);
        const { metadata, complete } = command;
        const patch = { metadata: documentOf(metadata), complete };
        const patched = await storage.patchSession(id, owner, patch, 1_000);
        return patched.outcome === 'patched'
          ? { ...patched, session: asThread(patched.session) }
          : patched;
      }
      case 'delete session': {
        const owner = command.owner === null ? null : this.#device(command.owner);
        return storage.deleteSession(id, { owner, includeExpired: command.includeExpired });
      }
      case 'read history': {
        const { includeExpired, limit } = command;
        const before = command.before === null ? null : String(command.before);
        return storage.readHistory(id, { owner: null, includeExpired }, before, limit);
      }
      case 'export': {
        const items = await storage.readExport({ session: id }, null, 1_000);
        return items.map((item) => ('session' in item ? asThread(item.session) : item.message));
      }
    }
  }

  #noteSession(id: string): void {
    if (!this.#sessions.includes(id)) this.#sessions.unshift(id);
  }

  /** Until nothing is left: in which order a storage finds what was let fall is its own affair. */
  async #recover(
    { maxTurns, leaseMs }: Extract<Command, { do: 'recover' }>,
    touched: Set<DeviceId>,
  ): Promise<Turn[]> {
    const found: Turn[] = [];
    for (let last = 1; last > 0;) {
      const requestId = `recovery ${++this.#recoveries}`;
      const { turns } = await this.side.storage.recover({ requestId, leaseMs, maxTurns });
      found.push(...turns);
      last = turns.length;
    }
    const ordered = found.toSorted(byDevice);
    for (const turn of ordered) {
      touched.add(turn.device);
      this.#learn(turn, 'builtin');
    }
    return ordered;
  }

  /** Until nothing is left: what is in which batch is the storage's own affair too. */
  async #cleanUp(batch: number): Promise<object> {
    const sums = { expiredLocks: 0, expiredSessions: 0, purgedMessages: 0 };
    for (let more = true; more;) {
      const run = await this.side.storage.cleanUp(batch);
      sums.expiredLocks += run.expiredLocks;
      sums.expiredSessions += run.expiredSessions;
      sums.purgedMessages += run.purgedMessages;
      more = run.more;
    }
    return sums;
  }

  async #noteStatuses(told: Told[]): Promise<unknown> {
    const found = told.flatMap((one) => {
      const reply = this.#replies[one.reply];
      return reply === undefined ? [] : [{ one, reply }];
    });
    const channel = found[0]?.reply.channel;
    if (channel === undefined) return undefined;
    return this.side.storage.noteStatuses(
      channel,
      found.map(({ one: { byId, attempt, status, retryMs }, reply }) => ({
        account: reply.account,
        externalId: wamid(reply, attempt),
        replyId: byId ? reply.id : null,
        status,
        ...(retryMs !== undefined && { retryMs }),
      })),
    );
  }

  async #end(turn: Granted, command: Extract<Command, { turn: number }>): Promise<unknown> {
    const { storage } = this.side;
    const { device, fence, lane } = turn;
    switch (command.do) {
      case 'commit':
        turn.content = contentOf(command.content);
        if (command.otherLane !== true) return this.#commit(turn, turn.content, command.leaseMs);
        return storage.commit(
          device,
          fence,
          lane === 'builtin' ? 'external' : 'builtin',
          turn.content,
          command.leaseMs,
        );
      case 'commit again':
        return turn.content === null
          ? undefined
          : this.#commit(turn, turn.content, command.leaseMs);
      case 'settle': {
        const deliveries = command.fates.flatMap((fate, i) => deliveryOf(turn.replies[i], fate));
        const settled = await storage.settle(device, fence, deliveries, command.leaseMs);
        this.#learn(settled?.turn ?? null, 'builtin');
        return settled;
      }
      case 'extend':
        return storage.extend(device, fence, lane, command.leaseMs);
      case 'give back':
        return storage.giveBack(device, fence, lane);
      case 'fail':
        return storage.fail(device, fence, 'Error');
    }
  }

  async #commit(turn: Granted, content: Commit, leaseMs: number): Promise<unknown> {
    const { device, fence, lane } = turn;
    const result = await this.side.storage.commit(device, fence, lane, content, leaseMs);
    if (result.outcome === 'committed') {
      turn.replies = this.#sendable(result.replies, turn);
      this.#learn(result.turn, lane);
    }
    return result;
  }

  #write(
    device: DeviceId,
    command: Extract<Command, { do: `${string} lock` | `${string} state` | 'read answer' }>,
  ): Promise<unknown> {
    const { storage } = this.side;
    switch (command.do) {
      case 'set lock': {
        const lock = { agent: command.agent, ttlSeconds: command.ttl };
        return storage.setLock(device, lock, guardOf(command.guard, this.#locks.get(device)));
      }
      case 'clear lock':
        return storage.clearLock(device, guardOf(command.guard, this.#locks.get(device)));
      case 'put state': {
        const guard = guardOf(command.guard, this.#states.get(device));
        return storage.putState(device, documentOf(command.document), guard);
      }
      case 'patch state': {
        const guard = guardOf(command.guard, this.#states.get(device));
        return storage.patchState(device, documentOf(command.document), guard);
      }
      case 'clear state':
        return storage.clearState(device, guardOf(command.guard, this.#states.get(device)));
      case 'read answer':
        return storage.readAnswer(device, 'web', `m${command.id}`);
    }
  }

  #device(n: number): DeviceId {
    const device = this.devices[n % this.devices.length];
    if (device === undefined) throw new Error('a script without devices');
    return device;
  }

  #message(said: Said, lane: Lane): IncomingMessage {
    const { who, id, sent, byHuman, revokes, maxWaiting } = said;
    const isNamed = 'phone' in who;
    return {
      sender: this.#sender(who),
      channel: isNamed ? 'whatsapp' : lane === 'builtin' ? 'web' : 'api',
      account: isNamed ? 'n' : '',
      externalId: `m${id}`,
      content: `says ${id}`,
      metadata: { id },
      sentAt: sent === undefined ? null : new Date(this.now + sent),
      ...(said.answerWithin !== undefined && { answerWithin: said.answerWithin }),
      ...(said.turn === false && { turn: false }),
      ...(byHuman !== undefined && { byHuman: { ttlSeconds: byHuman } }),
      ...(said.becomes !== undefined && { becomes: said.becomes }),
      ...(revokes !== undefined && { revokes: `m${revokes}` }),
      ...(maxWaiting !== undefined && { maxWaiting }),
    };
  }

  #sender(who: Who): IncomingMessage['sender'] {
    if ('device' in who) return { device: this.#device(who.device) };
    if ('phone' in who) return who;
    const session = this.#sessions[who.session] ?? '00000000-0000-4000-8000-000000000000';
    return { session, owner: who.owner === null ? null : this.#device(who.owner) };
  }

  #learn(turn: Turn | null, lane: Lane): void {
    if (turn === null) return;
    const { device, fence, channel, account } = turn;
    const known = this.#turns.find((one) => one.device === device && one.fence === fence);
    if (known !== undefined) return;
    const before = this.#turns.find((one) => one.device === device);
    if (before !== undefined && Number(before.fence) >= Number(fence))
      throw new Error(`a fence that does not grow: ${before.fence}, then ${fence}`);
    const granted = { device, fence, lane, channel, account, content: null };
    const replies = this.#sendable(turn.replies, granted);
    this.#turns.unshift({ ...granted, replies });
  }

  #sendable(
    replies: OutgoingReply[],
    { channel, account }: Pick<Granted, 'channel' | 'account'>,
  ): Sendable[] {
    return replies.map(({ id }) => {
      const known = this.#replies.find((one) => one.id === id);
      if (known !== undefined) return known;
      const fresh = { place: this.#replies.length, id, channel, account };
      this.#replies.unshift(fresh);
      return fresh;
    });
  }
}

/** A session's own id is named as one. */
const asThread = <T extends { id: string }>({ id: sessionId, ...rest }: T) => ({
  sessionId,
  ...rest,
});

const byDevice = (a: { device: DeviceId }, b: { device: DeviceId }): number =>
  a.device < b.device ? -1 : 1;

const wamid = ({ place }: Sendable, attempt: number): string => `wamid.${place}.${attempt}`;

const termsOf = ({ request, lane, maxTurns, leaseMs }: Terms): TurnTerms => ({
  requestId: `request ${request}`,
  lane,
  maxTurns,
  leaseMs,
});

const contentOf = ({ replies, state, statePatch, ...rest }: Answered): Commit => ({
  replies: Array.from({ length: replies }, (_, i) => ({
    content: `reply ${i}`,
    metadata: {},
    agent: i === 0 ? null : 'manager',
  })),
  ...(state !== undefined && { state: documentOf(state) }),
  ...(statePatch !== undefined && { statePatch: documentOf(statePatch) }),
  ...rest,
});

const documentOf = (document: Document): JsonObject =>
  document === 'large' ? { large: 'x'.repeat(30_000) } : document;

function deliveryOf(reply: Sendable | undefined, fate: Fate | null): Delivery[] {
  if (reply === undefined || fate === null) return [];
  const { attempt, instead, ...said } = fate;
  const externalId = attempt === undefined ? {} : { externalId: wamid(reply, attempt) };
  const other = { content: 'instead', metadata: {}, agent: null };
  return [{ id: reply.id, ...said, ...externalId, ...(instead === true && { instead: other }) }];
}

/** Notes a version that was not seen before, newest first. */
function note(
  seen: Map<DeviceId, Version[]>,
  device: DeviceId,
  version: Version | undefined,
): void {
  const versions = seen.get(device) ?? [];
  if (version !== undefined && versions[0] !== version) versions.unshift(version);
  seen.set(device, versions);
}

function guardOf(by: GuardBy, [newest, older]: Version[] = []): Guard {
  const unknown = '0' as Version;
  switch (by) {
    case 'none':
    case 'absent':
      return { kind: by };
    case 'any':
      return { kind: 'present', versions: [] };
    case 'newest':
      return { kind: 'present', versions: [newest ?? unknown] };
    case 'older':
      return { kind: 'present', versions: [older ?? unknown] };
  }
}
