import { BatonError } from '../../lib/errors.ts';
import type { DeviceId } from '../../lib/storage/storage.ts';
import { drain } from '../support/drain.ts';
import type { Command } from './commands.ts';
import { Given } from './given.ts';
import { Names } from './names.ts';
import { eraseUser, link, write } from './play-devices.ts';
import { createSession, inSession, listSessions } from './play-sessions.ts';
import { accept, end, next, noteStatuses, recover } from './play-turns.ts';
import type { Side } from './sides.ts';

/** What a command did: its answer, and the devices that it was about. */
export interface Played {
  answer: unknown;
  touched: Set<DeviceId>;
}

/** Plays commands on one side and remembers what was given there, so that later commands can name it. */
export class Player {
  readonly side: Side;
  readonly names = new Names();
  /** The side's clock. */
  now: number;
  readonly #start: number;
  readonly #given: Given;

  constructor(side: Side, web: readonly DeviceId[], start: number) {
    this.side = side;
    this.#given = new Given(web);
    this.#start = start;
    this.now = start;
  }

  /** All that have been told of, the web's first. */
  get devices(): readonly DeviceId[] {
    return this.#given.devices;
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
    this.#given.noteVersions(device, lock.lock?.version, state.version ?? undefined);
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
    const given = this.#given;
    switch (command.do) {
      case 'accept':
        return accept(this.side, given, command, this.now, touched);
      case 'next':
        return next(this.side, given, command, touched);
      case 'recover':
        return recover(this.side, given, command, touched);
      case 'clean up':
        for (const device of given.devices) touched.add(device);
        return drain(this.side, command.batch);
      case 'note statuses':
        return noteStatuses(this.side, given, command.told, touched);
      case 'commit':
      case 'commit again':
      case 'settle':
      case 'extend':
      case 'give back':
      case 'fail': {
        const turn = given.turns[command.turn];
        if (turn === undefined) return undefined;
        touched.add(turn.device);
        return end(this.side, given, turn, command);
      }
      case 'set lock':
      case 'clear lock':
      case 'put state':
      case 'patch state':
      case 'clear state':
      case 'read answer': {
        const device = given.device(command.device);
        touched.add(device);
        return write(this.side, given, device, command);
      }
      case 'list failed':
      case 'retry failed': {
        const { limit } = command;
        const device = command.device === null ? null : given.device(command.device);
        for (const one of device === null ? given.devices : [device]) touched.add(one);
        return command.do === 'list failed'
          ? storage.listFailed(device, null, limit)
          : storage.retryFailed(device, limit);
      }
      case 'erase device':
      case 'link':
      case 'unlink': {
        const device = given.device(command.device);
        touched.add(device);
        return command.do === 'link'
          ? link(this.side, device, given.device(command.to), command.code)
          : command.do === 'unlink'
            ? storage.unlink(device)
            : storage.eraseDevice(device);
      }
      case 'erase user':
        for (const device of given.devices) touched.add(device);
        return eraseUser(this.side, command.user, command.limit);
      case 'create session':
        return createSession(this.side, given, command, touched);
      case 'patch session':
      case 'delete session':
      case 'read history':
      case 'export': {
        const session = given.sessions[command.session];
        return session === undefined
          ? undefined
          : inSession(this.side, given, session, command, touched);
      }
      case 'list sessions':
        return listSessions(this.side, given, this.names, command);
      case 'wait':
      case 'wait until':
        return undefined;
    }
  }
}
