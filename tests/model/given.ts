import type {
  Commit,
  DeviceId,
  Fence,
  IncomingMessage,
  Lane,
  OutgoingReply,
  Turn,
  Version,
} from '../../lib/storage/storage.ts';
import type { Who } from './commands.ts';

/** A reply that is or was to be sent, by its place among all of them. */
export interface Sendable {
  place: number;
  id: string;
  device: DeviceId;
  channel: string;
  account: string;
}

/** A chat session, and whose it is. */
export interface Begun {
  id: string;
  device: DeviceId;
}

/** A turn that was given on this side. */
export interface Granted {
  device: DeviceId;
  fence: Fence;
  lane: Lane;
  channel: string;
  account: string;
  replies: Sendable[];
  /** The last that was tried to commit with it. */
  content: Commit | null;
}

/** What was given on one side, the newest first, so that later commands can name it by a number. */
export class Given {
  readonly devices: DeviceId[];
  readonly turns: Granted[] = [];
  readonly replies: Sendable[] = [];
  readonly sessions: Begun[] = [];
  readonly locks = new Map<DeviceId, Version[]>();
  readonly states = new Map<DeviceId, Version[]>();
  #recoveries = 0;

  constructor(web: readonly DeviceId[]) {
    this.devices = [...web];
  }

  device(n: number): DeviceId {
    const device = this.devices[n % this.devices.length];
    if (device === undefined) throw new Error('a script without devices');
    return device;
  }

  sender(who: Who): IncomingMessage['sender'] {
    if ('device' in who) return { device: this.device(who.device) };
    if ('phone' in who) return who;
    const session = this.sessions[who.session]?.id ?? '00000000-0000-4000-8000-000000000000';
    return { session, owner: who.owner === null ? null : this.device(who.owner) };
  }

  noteSession(id: string, device: DeviceId): void {
    const known = this.sessions.find((one) => one.id === id);
    if (known === undefined) this.sessions.unshift({ id, device });
    else known.device = device; // erased, and begun again
  }

  /** The id of one more call of recovery. */
  recovery(): string {
    return `recovery ${++this.#recoveries}`;
  }

  /** Notes the versions that a device's lock and state have now. */
  noteVersions(device: DeviceId, lock: Version | undefined, state: Version | undefined): void {
    note(this.locks, device, lock);
    note(this.states, device, state);
  }

  learn(turn: Turn | null, lane: Lane): void {
    if (turn === null) return;
    const { device, fence, channel, account } = turn;
    const known = this.turns.find((one) => one.device === device && one.fence === fence);
    if (known !== undefined) return;
    const before = this.turns.find((one) => one.device === device);
    if (before !== undefined && Number(before.fence) >= Number(fence))
      throw new Error(`a fence that does not grow: ${before.fence}, then ${fence}`);
    const granted = { device, fence, lane, channel, account, content: null };
    const replies = this.sendable(turn.replies, granted);
    this.turns.unshift({ ...granted, replies });
  }

  sendable(
    replies: OutgoingReply[],
    { device, channel, account }: Pick<Granted, 'device' | 'channel' | 'account'>,
  ): Sendable[] {
    return replies.map(({ id }) => {
      const known = this.replies.find((one) => one.id === id);
      if (known !== undefined) return known;
      const fresh = { place: this.replies.length, id, device, channel, account };
      this.replies.unshift(fresh);
      return fresh;
    });
  }
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
