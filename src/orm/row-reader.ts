import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import {
  type HiddenColumns,
  type ParserOf,
  parseRow,
  parserOf,
  type RowShape,
  readShape,
  type StoredRow,
} from './row.js';
import { clientOf, runStatement, type StatementConnection } from './statements.js';

/**
 * Reads rows as text, the way the statement that ends a transaction does it, and makes values of the text. What a class' text means
 * is asked once of the database, on whatever connection needs it first.
 */
export class RowReader {
  readonly #shapes = new Map<string, RowShape>();
  readonly #byId = new Map<string, RowShape>();
  readonly #texts = new WeakMap<RowShape, Texts>();
  #parserOf: ParserOf | undefined;

  /**
   * @param exceptions which hidden and lazy columns of a class are read
   * @param hasNames whether statements are prepared under a name
   */
  constructor(
    private readonly exceptions: (meta: EntityMetadata) => HiddenColumns,
    private readonly hasNames: () => boolean,
  ) {}

  /** What the text of a row means; undefined where it is another process', or an older one's. */
  shapeBy(id: string): RowShape | undefined {
    return this.#byId.get(id);
  }

  async shapeOf(
    em: EntityManager,
    connection: StatementConnection,
    meta: EntityMetadata,
    schema: string | undefined,
    members: boolean,
  ): Promise<RowShape> {
    const name = JSON.stringify([meta.className, schema, members]);
    const known = this.#shapes.get(name);
    if (known) return known;
    this.#parserOf ??= await parserOf(em);
    const run = <Row>(text: string, parameters: readonly unknown[]) =>
      runStatement<Row>(connection, { text }, parameters);
    const shape = await readShape(run, em, meta, schema, this.#parserOf, { members, hidden: this.exceptions(meta) });
    this.#shapes.set(name, shape);
    this.#byId.set(shape.id, shape);
    return shape;
  }

  /** The shape that another process wrote, if it is one of this process' too. */
  async findShape(
    em: EntityManager,
    connection: StatementConnection,
    meta: EntityMetadata,
    schema: string | undefined,
    id: string,
  ): Promise<RowShape | undefined> {
    for (const members of [false, true]) await this.shapeOf(em, connection, meta, schema, members);
    return this.#byId.get(id);
  }

  /** The row as it is stored now; undefined where it is gone. */
  async readNow(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    key: readonly unknown[],
  ): Promise<StoredRow | undefined> {
    const shape = await this.shapeOf(em, clientOf(em), meta, schema, false);
    const [row] = await this.#select(clientOf(em), this.#textsOf(shape).read, shape, [key]);
    return row === undefined ? undefined : parseRow(shape, row);
  }

  /** What tables look like may have changed: it is asked anew. */
  forget(): void {
    this.#shapes.clear();
  }

  /**
   * The texts of rows in the order of their keys, undefined for rows that are not there. They are locked until the transaction ends,
   * as an update locks them: others may refer to them meanwhile.
   */
  async lock(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    keys: Keys,
    members: boolean,
    transaction: object | undefined = em.getTransactionContext(),
  ): Promise<readonly unknown[]> {
    if (keys.length === 0) return [];
    const connection = transaction as StatementConnection | undefined;
    if (!connection) return this.read(em, meta, schema, keys, members);
    const shape = await this.shapeOf(em, connection, meta, schema, members);
    // A statement that waited for a lock sees the other tables as they were when it began, so that the members take one of their own.
    if (shape.members.length > 0) {
      const { lock } = this.#textsOf(shape);
      const found = await this.#run(connection, lock, shape, keys);
      if (found.length < keys.length) await this.#run(connection, lock, shape, keys);
      return this.#select(connection, this.#textsOf(shape).read, shape, keys);
    }
    const { locked } = this.#textsOf(shape);
    const rows = await this.#select(connection, locked, shape, keys);
    // A writer that waited for a row which was deleted then finds what has its key now by a statement of its own.
    return rows.includes(undefined) ? this.#select(connection, locked, shape, keys) : rows;
  }

  /** The same without a lock. */
  async read(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    keys: Keys,
    members: boolean,
  ): Promise<readonly unknown[]> {
    if (keys.length === 0) return [];
    const connection = (em.getTransactionContext() ?? clientOf(em)) as StatementConnection;
    const shape = await this.shapeOf(em, connection, meta, schema, members);
    return this.#select(connection, this.#textsOf(shape).read, shape, keys);
  }

  #textsOf(shape: RowShape): Texts {
    const known = this.#texts.get(shape);
    if (known) return known;
    const keys = keyed(shape, '$1');
    const lock = `for no key update of ${shape.aliases.join(', ')}`;
    const texts = {
      read: `select k.o, (${rowByKey(shape)}) as row from ${keys}`,
      // Row after row, in the order of the keys.
      lock: `select 1 from ${keys} cross join lateral (select 1 from ${shape.from} where ${byKey(shape)} ${lock}) r`,
      locked: `select k.o, r.row from ${keys} cross join lateral (${rowByKey(shape)} ${lock}) r`,
    };
    this.#texts.set(shape, texts);
    return texts;
  }

  async #select(connection: StatementConnection, text: string, shape: RowShape, keys: Keys): Promise<unknown[]> {
    const rows: unknown[] = keys.map(() => undefined);
    for (const { o, row } of await this.#run(connection, text, shape, keys)) rows[o] = row ?? undefined;
    return rows;
  }

  #run(connection: StatementConnection, text: string, shape: RowShape, keys: Keys): Promise<readonly FoundRow[]> {
    const statement = this.hasNames() ? { text, name: 'rows' } : { text };
    return runStatement<FoundRow>(connection, statement, [keysAsJson(shape, keys)]);
  }
}

type Keys = readonly (readonly unknown[])[];

interface FoundRow {
  /** The number of its key. */
  readonly o: number;
  readonly row: unknown;
}

/** Statements that read the rows of one shape. */
interface Texts {
  readonly read: string;
  readonly lock: string;
  readonly locked: string;
}

/**
 * A list of the rows with the keys of a parameter, in their order: null for those that are not there. A subquery for each key, because
 * PostgreSQL thinks of a hundred keys and would rather read a whole table of some thousand rows.
 */
export function rowsByKey(shape: RowShape, parameter: string): string {
  return `select json_agg((${rowByKey(shape)}) order by k.o) from ${keyed(shape, parameter)}`;
}

function rowByKey(shape: RowShape): string {
  return `select ${shape.sql} as row from ${shape.from} where ${byKey(shape)}`;
}

/** The keys of a parameter as a table `k` of their numbers and columns. */
function keyed({ key }: RowShape, parameter: string): string {
  const columns = key.map(({ type }, index) => `k${index} ${type}`).join(', ');
  return `json_to_recordset(${parameter}::json) as k(o int, ${columns})`;
}

function byKey({ key }: RowShape): string {
  return key.map(({ column }, index) => `t."${column.replaceAll('"', '""')}" = k.k${index}`).join(' and ');
}

/** `[{"o":0,"k0":1}, …]` */
export function keysAsJson({ key }: RowShape, keys: readonly (readonly unknown[])[]): string {
  return JSON.stringify(
    keys.map((values, o) => ({
      o,
      ...Object.fromEntries(key.map((_, index) => [`k${index}`, keyText(values[index])])),
    })),
  );
}

export function keyText(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value;
}
