import { and, eq, isNotNull, type SQL, sql } from 'drizzle-orm';
import { conversationStates as states } from '../../../drizzle/schema.ts';
import type { JsonObject } from '../../json.ts';
import type { StorageLimits } from '../limits.ts';
import type { DeviceId, Guard, Guarded, StateDocument, Storage, Version } from '../storage.ts';
import {
  clock,
  clockNow,
  type Database,
  linked,
  linkedAnew,
  only,
  shared,
  versions,
  versionsOf,
} from './database.ts';
import { run } from './failures.ts';

const written = {
  state: states.state,
  version: states.stateVersion,
  updatedAt: states.stateUpdatedAt,
};

/** The guard; an empty list of versions asks for any document. */
const isPresent = and(
  eq(states.deviceId, linkedAnew),
  isNotNull(states.state),
  sql`(${versions} = '{}' or ${states.stateVersion} = any (${versions}))`,
);

const change = (state: SQL | null) => ({
  state:
    state === null ? null : sql`baton_fitting_v1(${state}, ${sql.placeholder('maxBytes')}::int)`,
  stateVersion: sql`nextval('baton_versions')`,
  stateUpdatedAt: sql`baton_now_v1()`,
});

/** A write in its two forms: `upsert` makes the row if it must, `replace` asks for a document to be there. */
function prepareWrite(
  db: Database,
  name: string,
  { fresh, changed }: { fresh: SQL; changed: SQL },
) {
  return {
    upsert: db
      .insert(states)
      .values({ deviceId: linkedAnew, ...change(fresh) })
      .onConflictDoUpdate({
        target: states.deviceId,
        set: change(changed),
        setWhere: sql`not ${sql.placeholder('mustBeAbsent')}::boolean or ${states.state} is null`,
      })
      .returning(written)
      .prepare(`baton_state_${name}`),
    replace: db
      .update(states)
      .set(change(changed))
      .where(isPresent)
      .returning(written)
      .prepare(`baton_state_${name}_guarded`),
  };
}

function prepare(db: Database) {
  const document = sql`${sql.placeholder('document')}::jsonb`;
  const merge = (target: SQL) => sql`baton_merge_patch_v1(${target}, ${document})`;
  const cleared = db
    .$with('cleared')
    .as(
      db
        .update(states)
        .set(change(null))
        .where(isPresent)
        .returning({ clearedAt: states.stateUpdatedAt }),
    );
  return {
    get: db
      .select({ now: clockNow, ...written, shared })
      .from(clock)
      .leftJoin(states, eq(states.deviceId, linked))
      .prepare('baton_state_get'),
    put: prepareWrite(db, 'put', { fresh: document, changed: document }),
    patch: prepareWrite(db, 'patch', {
      fresh: merge(sql`null`),
      changed: merge(sql`${states.state}`),
    }),
    // the clock comes back also where there was nothing to clear
    clear: db
      .with(cleared)
      .select({ now: clockNow, clearedAt: cleared.clearedAt })
      .from(clock)
      .leftJoin(cleared, sql`true`)
      .prepare('baton_state_clear'),
  };
}

interface StateRow {
  state: Record<string, unknown> | null;
  version: bigint | null;
  updatedAt: Date | null;
}

function toDocument({ state, version, updatedAt }: StateRow): StateDocument {
  if (state === null) return { state: {}, version: null, updatedAt: null };
  // a jsonb object, as the column's check of every writer has it
  return { state: state as JsonObject, version: String(version) as Version, updatedAt };
}

/** The conversation state. */
export function stateOperations(
  db: Database,
  { maxStateBytes: maxBytes }: StorageLimits,
): Pick<Storage, 'getState' | 'putState' | 'patchState' | 'clearState'> {
  const statements = prepare(db);
  type Write = typeof statements.put;
  const write = async (
    { upsert, replace }: Write,
    id: DeviceId,
    document: JsonObject,
    guard: Guard,
  ): Promise<Guarded<StateDocument>> => {
    const values = { device: id, document: JSON.stringify(document), maxBytes };
    const rows = await run<StateRow[]>(
      () =>
        guard.kind === 'present'
          ? replace.execute({ ...values, versions: versionsOf(guard) })
          : upsert.execute({ ...values, mustBeAbsent: guard.kind === 'absent' }),
      false,
    );
    const row = rows[0];
    return row?.updatedAt == null
      ? { written: false }
      : { written: true, now: row.updatedAt, ...toDocument(row) };
  };
  return {
    async getState(id) {
      const row = only(await run(() => statements.get.execute({ device: id }), true));
      const read = { now: new Date(row.now), ...(row.shared && { shared: true }) };
      return { ...read, ...toDocument(row) };
    },
    putState: (id, state, guard) => write(statements.put, id, state, guard),
    patchState: (id, patch, guard) => write(statements.patch, id, patch, guard),
    async clearState(id, guard) {
      if (guard.kind === 'absent') {
        // there must be nothing to clear: that is seen by looking
        const { now, version } = await this.getState(id);
        return version === null ? { written: true, now } : { written: false };
      }
      const values = { device: id, versions: versionsOf(guard) ?? '{}' };
      const row = only(await run(() => statements.clear.execute(values), guard.kind === 'none'));
      if (row.clearedAt !== null) return { written: true, now: row.clearedAt };
      // nothing was there: without a guard that is what was asked for
      return guard.kind === 'present'
        ? { written: false }
        : { written: true, now: new Date(row.now) };
    },
  };
}
