import type { EntityClass, EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { Logger } from '../logger.js';
import { isPassingFailure } from '../orm/orm-errors.js';
import { outlastFailures } from '../orm/passing-failures.js';
import { keyColumns, parseRow, type StoredRow } from '../orm/row.js';
import type { RowReader } from '../orm/row-reader.js';
import { clientOf } from '../orm/statements.js';
import type { Commit, Entry, EntryRow, ModelChange } from './entry.js';
import type { LogRow } from './log-reader.js';

interface Decoding {
  readonly em: EntityManager;
  readonly rows: RowReader;
  readonly logger: Logger;
  readonly repeated: RepeatedEntries;
  /** As in `ChangeLogSettings`, in milliseconds. */
  readonly retryTimeLimit: number;
  /** Converts a failure of the database into MikroORM's error. */
  readonly converted: (error: unknown) => unknown;
  /** Called for each commit whose changes are not delivered. */
  readonly leftOut: () => void;
}

/** Remembers the entries outside of transactions that were read last, so that each is delivered once. */
export class RepeatedEntries {
  readonly #ids = new Set<string>();

  /** @param most how many ids are remembered */
  constructor(private readonly most = 10_000) {}

  /** Whether the entry was read before; remembers it. */
  has({ id }: Pick<Entry, 'id'>): boolean {
    if (id === undefined) return false;
    if (this.#ids.has(id)) return true;
    this.#ids.add(id);
    const [oldest = ''] = this.#ids;
    if (this.#ids.size > this.most) this.#ids.delete(oldest);
    return false;
  }
}

/**
 * Decodes entries into commits, in their order. It leaves out and logs what this process does not know or cannot read; if the database
 * failed, the commit names the classes whose changes are missing.
 */
export async function decodeCommits(decoding: Decoding, rows: readonly LogRow[]): Promise<readonly Commit[]> {
  const commits: Commit[] = [];
  for (const ofTransaction of byTransaction(rows)) {
    try {
      commits.push(await decodeCommit(decoding, ofTransaction));
    } catch (error) {
      noteUnread(decoding, ofTransaction, error);
    }
  }
  return commits;
}

function noteUnread({ logger, leftOut }: Decoding, rows: readonly LogRow[], error: unknown): void {
  leftOut();
  logger.error('An entry of the change log could not be read.', { entries: rows.map(({ id }) => id), error });
}

/** Groups the entries of each transaction into one commit, at the place of the last of them. */
function byTransaction(rows: readonly LogRow[]): readonly (readonly LogRow[])[] {
  const transactions = new Map<string, LogRow[]>();
  for (const row of rows) {
    const earlier = transactions.get(row.xid) ?? [];
    transactions.delete(row.xid);
    transactions.set(row.xid, [...earlier, row]);
  }
  return [...transactions.values()];
}

async function decodeCommit(decoding: Decoding, rows: readonly LogRow[]): Promise<Commit> {
  const read = rows.map(({ entries: text }) => JSON.parse(text) as Entry);
  const entries = read.filter((entry) => !decoding.repeated.has(entry));
  const told = await changesOrNone(decoding, rows, entries);
  const untold = entries.flatMap(({ untold, rows }) => [...(untold ?? []), ...(told ? [] : rows.map(classOf))]);
  const cause = entries.find((entry) => entry.cause !== undefined)?.cause;
  return {
    changes: told ?? [],
    signals: entries.flatMap(({ signals }) => signals ?? []),
    rechecks: entries.flatMap(({ rechecks }) => rechecks ?? []),
    commands: entries.flatMap(({ orders }) => orders ?? []),
    untold: untoldClasses(decoding, untold),
    ...(cause !== undefined && { cause }),
  };
}

function classOf({ class: name }: EntryRow): string {
  return name;
}

/** The observed classes among these names. This process observes no class that it does not have. */
function untoldClasses({ em }: Decoding, names: readonly string[]): readonly EntityClass<object>[] {
  return [...new Set(names)].flatMap((name) => metadataOf(em, name)?.class ?? []);
}

function metadataOf(em: EntityManager, name: string): EntityMetadata | undefined {
  return em.getMetadata().getByClassName(name as never, false) as EntityMetadata | undefined;
}

/** The changes; undefined if the database has failed for too long. The other parts of the entries need no database. */
async function changesOrNone(
  decoding: Decoding,
  rows: readonly LogRow[],
  entries: readonly Entry[],
): Promise<readonly ModelChange[] | undefined> {
  try {
    return await outlastFailures(() => changesOfAll(decoding, entries), { timeLimit: decoding.retryTimeLimit });
  } catch (error) {
    if (!isPassingFailure(error)) throw error;
    noteUnread(decoding, rows, error);
    return undefined;
  }
}

async function changesOfAll(decoding: Decoding, entries: readonly Entry[]): Promise<readonly ModelChange[]> {
  const changes: ModelChange[] = [];
  try {
    for (const entry of entries) changes.push(...(await changesOf(decoding, entry)));
  } catch (error) {
    throw decoding.converted(error);
  }
  return entries.length > 1 ? mergedChanges(changes) : changes;
}

async function changesOf(decoding: Decoding, entry: Entry): Promise<readonly ModelChange[]> {
  const next = entry.after.map(() => 0);
  const changes: ModelChange[] = [];
  for (const row of entry.rows) {
    const index = next[row.list] ?? 0;
    next[row.list] = index + 1;
    const after = entry.after[row.list]?.[index] ?? null;
    const change = await changeOf(decoding, row, after);
    if (change) changes.push(change);
  }
  return changes;
}

async function changeOf(decoding: Decoding, row: EntryRow, afterText: unknown): Promise<ModelChange | undefined> {
  const { em, logger } = decoding;
  const meta = metadataOf(em, row.class);
  if (!meta) {
    logger.debug('A change of an entity that this process does not have was left out.', { class: row.class });
    return undefined;
  }
  if (row.isQuiet && !row.isNew && JSON.stringify(row.before) === JSON.stringify(afterText)) return undefined;
  const { before, after } = await rowsOf(decoding, meta, row, row.isGoing ? null : afterText);
  if (!after && row.isNew) return undefined;
  return {
    entity: meta.class,
    meta,
    schema: row.schema,
    key: row.key,
    ...(!row.isNew && { before: before ?? keyOnly(meta, row.key) }),
    ...(after && { after }),
    ...(row.origin !== undefined && { origin: row.origin }),
  };
}

async function rowsOf(
  { em, rows }: Decoding,
  meta: EntityMetadata,
  { shape: id, schema, key, before }: EntryRow,
  after: unknown,
): Promise<{ readonly before?: StoredRow | undefined; readonly after?: StoredRow | undefined }> {
  const shape = rows.shapeBy(id) ?? (await rows.findShape(em, clientOf(em), meta, schema, id));
  if (shape) {
    return {
      before: before === undefined ? undefined : parseRow(shape, before),
      after: after === null ? undefined : parseRow(shape, after),
    };
  }
  // A process with other columns wrote this entry: the row is sent as it is now.
  if (after === null) return {};
  const now = await rows.readNow(em, meta, schema, key);
  return { after: now };
}

/** The row before the change, reduced to its key, if no observer needs more of it. */
function keyOnly(meta: EntityMetadata, key: readonly unknown[]): StoredRow {
  const names = keyColumns(meta);
  return { columns: Object.fromEntries(names.map((name, index) => [name, key[index]])) };
}

/** Merges the changes of one transaction to one row: the first entry has the row before, the last one the row after. */
function mergedChanges(changes: readonly ModelChange[]): readonly ModelChange[] {
  const merged = new Map<string, ModelChange>();
  for (const change of changes) {
    const name = JSON.stringify([change.meta.root.className, change.schema, change.key]);
    const { before, ...later } = change;
    const earlier = merged.get(name);
    const first = earlier ? earlier.before : before;
    merged.set(name, first ? { ...later, before: first } : later);
  }
  return [...merged.values()].filter(({ before, after }) => before ?? after);
}
