// What the scenarios need of a storage; postgres/ and redis/ have it.

export type StorageName = 'postgres' | 'redis';

/** As people call them. */
export const storageNames: Readonly<Record<StorageName, string>> = {
  postgres: 'PostgreSQL',
  redis: 'Redis',
};

export interface Closable {
  close(): Promise<void>;
}

/** A way by which an instance reaches a storage. */
export interface Reach {
  /** Settings of the instance. */
  env: Readonly<Record<string, string>>;
}

/** Whatever is not named is not asked after. */
export interface Which {
  devices?: readonly string[];
  /** As the senders name their messages. */
  messageIds?: readonly string[];
  statuses?: readonly string[];
}

/** A message or a reply. */
export interface StoredMessage {
  id: string;
  device: string;
  role: string;
  content: string;
  status: string;
  lane: string;
  /** Its place in the history. */
  seq: number | null;
  attempts: number;
  messageId: string | null;
  /** The turn that wrote it into the history. */
  fence: string | null;
  /** Ids of the messages that it answers. */
  answers: string[];
}

export interface StoredDevice {
  device: string;
  lastSeq: number;
  /** A turn was given and not ended, its time over or not. */
  isHeld: boolean;
  state: unknown;
  /** All of it as one text, the same for as long as nothing of it changes. */
  picture: string;
}

/** What else there may be of a device. */
export interface Belongings {
  sessions: { id: string; complete: boolean; metadata: unknown }[];
  /** Holdings of its lock that are over. */
  lockEvents: number;
  /** Codes that another device may link itself with. */
  linkCodes: number;
  isLinked: boolean;
}

/** What a storage holds, read and moved in time past every instance and wire. */
export interface Books {
  /** In the order of their places, those without one last. */
  messages(which?: Which): Promise<StoredMessage[]>;
  devices(which?: Pick<Which, 'devices'>): Promise<StoredDevice[]>;
  belongingsOf(device: string): Promise<Belongings>;
  /** Ends the leases of these devices now, as if their time had passed. */
  lapse(devices: readonly string[]): Promise<void>;
  /** Replies of these devices that wait for another try wait no longer. */
  comeDue(devices: readonly string[]): Promise<void>;
  /** Puts a message there that was set aside, as its last failed turn leaves it. */
  setAside(device: string, session: string): Promise<void>;
}

/** A database that nobody else uses. */
export interface Database extends Reach, Books {
  wire(): Promise<Wire>;
  /** Lines of each kind that an instance may have to it. */
  losing(): Promise<(Reach & Losing & Closable)[]>;
  breakable(): Promise<Breakable>;
}

/** A line on which answers can be lost after the server has done what it was asked. */
export interface Losing {
  /** Lets so many statements pass and loses the answers of as many after them. The sweep's own are not counted. */
  lose(skip: number, times: number): void;
  /** How many were lost since the start. */
  lost(): number;
}

/** Where a statement is stopped. Its connection passes nothing more, unless it is let go on. */
export type Stop =
  /** On its way: the server does not see it. */
  | 'held'
  /** The server has it, and may be at it. */
  | 'sent'
  /** The server has done it; the answer is on its way. */
  | 'done';

/** A statement that was stopped. */
export interface Stopped {
  /** It, or its answer, arrives after all. */
  release(): void;
  /** The connection breaks; nobody is told what became of it. */
  cut(): void;
}

/** The line between one instance and its database, which knows each statement by its name. */
export interface Wire extends Reach, Losing, Closable {
  /** Stops the next statement of this name, and gives it once it stands still. */
  stop(name: string, at: Stop): Promise<Stopped>;
  /** Every connection of this moment dies without a word; new ones live. */
  silence(): void;
  /** How many statements of this name the server has answered since the start. */
  answered(name: string): number;
}

/** What a stopped statement waits for, and who is told that it stands. */
export interface Trap {
  name: string;
  at: Stop;
  sprung: (stopped: Stopped) => void;
}

/** A line that the database may be away behind. */
export interface Breakable extends Reach, Closable {
  /** Breaks every connection, and each new one at once. */
  cut(): void;
  /** Takes everything and answers nothing. */
  hang(): void;
  resume(): void;
}

/** A server of its own that is killed, and started again on what it left. */
export interface Killable extends Reach, Closable {
  name: string;
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** A running storage that a whole run of the scenarios shares. */
export interface Backend extends Closable {
  storage: StorageName;
  database(): Promise<Database & Closable>;
  killable(): Promise<Killable>;
}
