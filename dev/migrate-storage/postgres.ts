import { createHash } from 'node:crypto';
import type pg from 'pg';
import { KEPT } from '../backup/tables.ts';
import { StartupError } from '../startup-error.ts';
import { readLapsed, readLeftBehind, readOver } from './postgres-questions.ts';
import { readKeys, readNames, readPresent, readUnits } from './postgres-units.ts';
import { readDevices } from './postgres-devices.ts';
import { dropUnits, writeUnits } from './postgres-write.ts';
import type { Kept, Mark, Records, Selection, Side, Unit } from './records.ts';

/** Any number: two moves would get in each other's way. */
const ADVISORY_LOCK = 2_026_112_103;

/** Of tables that are being filled the planner knows nothing, and would read them whole for each hundred devices. */
const BY_INDEX = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off`;

/** Two connections: one reads and has its cursors open all the time, the other writes. */
export interface Clients {
  reader: pg.Client;
  writer: pg.Client;
}

export type PostgresSide = Side & {
  /** Of units that are here, those that Redis has let go by itself by now. */
  lapsed(unit: Unit, ids: string[]): Promise<Set<string>>;
  over(kept: Kept): ReturnType<typeof readOver>;
};

/**
 * What PostgreSQL keeps, and where it is put.
 *
 * @param retentionDays how long Redis keeps a device after its last sign of life
 * @throws {StartupError} where the tables are missing, or another move is at work
 */
export async function openPostgresSide(
  clients: Clients,
  retentionDays: number,
): Promise<PostgresSide> {
  const { reader, writer } = clients;
  await assertReady(writer);
  for (const client of [reader, writer]) await client.query(BY_INDEX);
  await reader.query('BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY');
  const one = async <Found extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
    (await writer.query<Found>(sql, values)).rows[0];
  const keys = await one<{ keys: Buffer }>(
    'SELECT inner_key || outer_key AS keys FROM deployment_keys',
  );
  return {
    name: 'postgres',
    identity: `postgres ${createHash('sha256')
      .update(keys?.keys ?? '')
      .digest('hex')}`,
    select: (selection) => recordsOf(clients, selection),
    async isEmpty() {
      for (const table of KEPT) {
        if ((await one(`SELECT FROM ${table} LIMIT 1`)) !== undefined) return false;
      }
      return true;
    },
    ...marks(writer),
    async counters() {
      const row = await one<{ fence: string; id: string }>(
        `SELECT (SELECT last_value FROM baton_versions) AS fence, (SELECT last_value FROM chat_messages_id_seq) AS id`,
      );
      return { fence: BigInt(row?.fence ?? 0), id: BigInt(row?.id ?? 0) };
    },
    async raise({ fence, id }) {
      await writer.query(
        `SELECT setval('baton_versions', greatest($1::bigint, (SELECT last_value FROM baton_versions))),
           setval('chat_messages_id_seq', greatest($2::bigint, (SELECT last_value FROM chat_messages_id_seq)))`,
        [String(fence), String(id)],
      );
    },
    leftBehind: () => readLeftBehind(writer),
    lapsed: (unit, ids) => readLapsed(writer, unit, ids, retentionDays),
    over: (kept) => readOver(writer, kept),
  };
}

const recordsOf = ({ reader, writer }: Clients, selection: Selection): Records => ({
  ids: (unit) => readUnits(reader, unit, selection),
  present: (unit, ids) => readPresent(reader, unit, ids),
  async *read(unit, ids) {
    if (ids.length === 0) return;
    if (unit === 'device') yield* readDevices(reader, ids, selection);
    else if (unit === 'key') yield await readKeys(reader, ids);
    else yield await readNames(reader, unit, ids);
  },
  write: (unit, ids, rows) => writeUnits(writer, unit, ids, rows),
  drop: (unit, ids) => dropUnits(writer, unit, ids),
});

/** Moves are noted beside the restores: only one of both can have filled a database. */
const MARK = 'SELECT backup_id AS id, started_at, completed_at FROM restores';
interface Row {
  id: string;
  started_at: Date;
  completed_at: Date | null;
}
const markOf = ({ id, started_at: startedAt, completed_at: completedAt }: Row): Mark => ({
  id,
  startedAt,
  completedAt,
});

function marks(writer: pg.Client): Pick<Side, 'mark' | 'begin' | 'complete'> {
  const find = async (rest: string, values: string[] = []): Promise<Mark | null> => {
    const { rows } = await writer.query<Row>(`${MARK} ${rest}`, values);
    return rows[0] === undefined ? null : markOf(rows[0]);
  };
  return {
    mark: () => find('ORDER BY started_at DESC LIMIT 1'),
    async begin(id) {
      await writer.query('INSERT INTO restores (backup_id, lines) VALUES ($1, 0)', [id]);
      const mark = await find('WHERE backup_id = $1', [id]);
      if (mark === null) throw new StartupError('The mark of the move is gone. Run it again.');
      return mark;
    },
    async complete(id) {
      await writer.query('UPDATE restores SET completed_at = now() WHERE backup_id = $1', [id]);
      await writer.query('ANALYZE');
    },
  };
}

async function assertReady(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ ready: boolean; free: boolean }>(
    `SELECT to_regclass('restores') IS NOT NULL AND to_regproc('baton_dedupe_key_v1') IS NOT NULL AS ready,
       pg_try_advisory_lock($1) AS free`,
    [ADVISORY_LOCK],
  );
  if (rows[0]?.ready !== true) {
    throw new StartupError(
      'The database has not the tables of Baton: run "npm run db:migrate" first.',
    );
  }
  if (!rows[0].free) throw new StartupError('Another move of this database is at work.');
}
