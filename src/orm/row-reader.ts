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
import { runStatement, type StatementConnection, writeConnection } from './statements.js';

/**
 * Reads rows as text, the way the statement that ends a transaction does it, and makes values of the text. What a class' text means
 * is asked once of the database, on whatever connection needs it first.
 */
export class RowReader {
  readonly #shapes = new Map<string, RowShape>();
  readonly #byId = new Map<string, RowShape>();
  #parserOf: ParserOf | undefined;

  constructor(private readonly exceptions: (meta: EntityMetadata) => HiddenColumns) {}

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
    const [row] = await select(clientOf(em), shape, [key]);
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
    keys: readonly (readonly unknown[])[],
    members: boolean,
    transaction: object | undefined = em.getTransactionContext(),
  ): Promise<readonly unknown[]> {
    if (keys.length === 0) return [];
    const connection = transaction as StatementConnection | undefined;
    if (!connection) return this.read(em, meta, schema, keys, members);
    const shape = await this.shapeOf(em, connection, meta, schema, members);
    const lock = `for no key update of ${shape.aliases.join(', ')}`;
    // A statement that waited for a lock sees the other tables as they were when it began, so that the members take one of their own.
    if (shape.members.length === 0) {
      const rows = await select(connection, shape, keys, lock);
      // Whoever waited for a row that was deleted then finds what has its key now by a statement of its own.
      return rows.includes(undefined) ? select(connection, shape, keys, lock) : rows;
    }
    await runStatement(connection, { text: `${selection(shape, '1')} ${lock}` }, [keysAsJson(shape, keys)]);
    return select(connection, shape, keys);
  }

  /** The same without a lock. */
  async read(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    keys: readonly (readonly unknown[])[],
    members: boolean,
  ): Promise<readonly unknown[]> {
    if (keys.length === 0) return [];
    const connection = (em.getTransactionContext() ?? clientOf(em)) as StatementConnection;
    return select(connection, await this.shapeOf(em, connection, meta, schema, members), keys);
  }
}

/** The connections of the pool, outside of any transaction. */
export function clientOf(em: EntityManager): StatementConnection {
  return writeConnection(em).getClient();
}

async function select(
  connection: StatementConnection,
  shape: RowShape,
  keys: readonly (readonly unknown[])[],
  lock = '',
): Promise<unknown[]> {
  const text = `${selection(shape, `k.o, ${shape.sql} as row`)} ${lock}`;
  const found = await runStatement<{ o: number; row: unknown }>(connection, { text }, [keysAsJson(shape, keys)]);
  const rows: unknown[] = keys.map(() => undefined);
  for (const { o, row } of found) rows[o] = row;
  return rows;
}

function selection(shape: RowShape, columns: string): string {
  return `select ${columns} from ${keyed(shape, '$1')} join ${shape.from} on ${byKey(shape)} order by k.o`;
}

/** The keys of a parameter as a table `k` of their numbers and columns. */
export function keyed({ key }: RowShape, parameter: string): string {
  const columns = key.map(({ type }, index) => `k${index} ${type}`).join(', ');
  return `json_to_recordset(${parameter}::json) as k(o int, ${columns})`;
}

export function byKey({ key }: RowShape): string {
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
