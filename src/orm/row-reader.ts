import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import {
  type HiddenColumns,
  type ParserOf,
  parseRow,
  parserOf,
  type RowShape,
  readShape,
  type StoredRow,
} from './row.js';
import { formerTexts, plainTexts } from './session-settings.js';
import type { StatementConnection } from './sql-connection.js';
import { clientOf, runStatement } from './statements.js';

/**
 * Reads rows as text, as the statement that ends a transaction does, and parses that text. The meaning of a class' text is read from the
 * database once, on whichever connection needs it first.
 */
export class RowReader {
  readonly #shapes = new Map<string, RowShape>();
  readonly #byId = new Map<string, RowShape>();
  readonly #texts = new WeakMap<RowShape, Texts>();
  #parserOf: ParserOf | undefined;
  /** Whether statements are prepared under a name. */
  hasNames = true;

  /** @param exceptions which hidden and lazy columns of a class are read */
  constructor(private readonly exceptions: (meta: EntityMetadata) => HiddenColumns) {}

  /** The shape of a row's text; undefined if another process or an older one wrote it with a shape that this process does not know. */
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

  /** The shape that another process wrote with, if this process has the same one. */
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

  /**
   * SQL lists that read these rows on this connection: one list per shape, in the order of the rows.
   *
   * @param firstParameter the number of the statement's first parameter that holds keys
   */
  async list<Row extends RowKey>(
    em: EntityManager,
    connection: StatementConnection,
    rows: readonly Row[],
    firstParameter: number,
  ): Promise<ListedRows<Row>> {
    const lists = new Map<RowShape, { readonly number: number; readonly keys: Keyed[] }>();
    const places: ListedRow<Row>[] = [];
    for (const row of rows) {
      const { meta, schema, key, withMembers, isThere } = row;
      const shape = await this.shapeOf(em, connection, meta, schema, withMembers);
      const list = lists.get(shape) ?? { number: lists.size, keys: [] };
      lists.set(shape, list);
      const texts = key.map(keyText);
      list.keys.push({ key: texts, isThere });
      places.push({ row, shape: shape.id, list: list.number, key: texts });
    }
    const shapes = [...lists.keys()];
    return {
      shapes,
      places,
      keys: [...lists].map(([shape, { keys }]) => keysOfList(shape, keys)),
      texts: shapes.map((shape, index) => this.#listText(shape, firstParameter + index)),
    };
  }

  /** The row as it is stored now; undefined if it is gone. */
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

  /** Forgets all shapes: the tables may have changed, so that the next read asks the catalog again. */
  forget(): void {
    this.#shapes.clear();
  }

  /**
   * Locks rows until the transaction ends, and returns their texts in the order of their keys, undefined for missing rows. The lock is that
   * of an update: other rows may still refer to these.
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
    // A statement that waited for a lock sees other tables as they were when it began, so a second statement reads the members.
    if (shape.members.length > 0) {
      const { lock } = this.#textsOf(shape);
      const found = await this.#run(connection, lock, shape, keys);
      if (found.length < keys.length) await this.#run(connection, lock, shape, keys);
      return this.#select(connection, this.#textsOf(shape).read, shape, keys);
    }
    const { locked } = this.#textsOf(shape);
    const rows = await this.#select(connection, locked, shape, keys);
    // If a writer waited for a row that was then deleted, a second statement finds the new row with its key.
    return rows.includes(undefined) ? this.#select(connection, locked, shape, keys) : rows;
  }

  /** @throws ConfigurationError if a policy may hide rows of a class from the transaction, so that a row that is not found may exist */
  async requireVisible(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    transaction: object,
  ): Promise<void> {
    const connection = transaction as StatementConnection;
    const { mayHide } = await this.shapeOf(em, connection, meta, schema, true);
    const [found] = await runStatement<{ hidden: boolean }>(connection, { text: `select ${mayHide} as hidden` }, []);
    if (found?.hidden) throw hiddenFault(meta.className);
  }

  /** Reads the texts of rows, like `lock`, without a lock. */
  async read(
    em: EntityManager,
    meta: EntityMetadata,
    schema: string | undefined,
    keys: Keys,
    members: boolean,
    transaction: object | undefined = em.getTransactionContext(),
  ): Promise<readonly unknown[]> {
    if (keys.length === 0) return [];
    const connection = (transaction ?? clientOf(em)) as StatementConnection;
    const shape = await this.shapeOf(em, connection, meta, schema, members);
    return this.#select(connection, this.#textsOf(shape).read, shape, keys);
  }

  /**
   * SQL of a list of the rows whose keys a parameter holds, in their order, with null for missing rows. Each key has a subquery of its own,
   * because PostgreSQL assumes a hundred keys and would read a whole table of some thousand rows.
   *
   * The statement fails if a row that has to be there is missing and a policy may hide it: the log would report a delete.
   */
  #listText(shape: RowShape, parameter: number): string {
    const { lists } = this.#textsOf(shape);
    const row = `coalesce((${rowByKey(shape)}), ${hiddenRow(shape)})`;
    lists[parameter] ??= `select json_agg(${row} order by k.o) from ${keyed(shape, `$${parameter}`)}`;
    return lists[parameter];
  }

  #textsOf(shape: RowShape): Texts {
    const known = this.#texts.get(shape);
    if (known) return known;
    const keys = keyed(shape, '$1');
    const plainKeys = keyed(shape, 'case when _plain.changed is not null then $1::json end');
    const lock = `for no key update of ${shape.aliases.join(', ')}`;
    const texts = {
      read: inPlainTexts(`select k.o, (${rowByKey(shape)}) as row from _plain, ${plainKeys}`),
      // Locks row after row, in the order of the keys.
      lock: `select 1 from ${keys} cross join lateral (select 1 from ${shape.from} where ${byKey(shape)} ${lock}) r`,
      locked: inPlainTexts(
        `select k.o, r.row from _plain, ${plainKeys} cross join lateral (${rowByKey(shape)} ${lock}) r`,
      ),
      lists: [],
    };
    this.#texts.set(shape, texts);
    return texts;
  }

  async #select(connection: StatementConnection, text: string, shape: RowShape, keys: Keys): Promise<unknown[]> {
    const rows: unknown[] = keys.map(() => undefined);
    for (const { o, row } of await this.#run(connection, text, shape, keys)) if (o !== null) rows[o] = row ?? undefined;
    return rows;
  }

  #run(connection: StatementConnection, text: string, shape: RowShape, keys: Keys): Promise<readonly FoundRow[]> {
    const statement = this.hasNames ? { text, name: 'rows' } : { text };
    return runStatement<FoundRow>(connection, statement, [keysAsJson(shape, keys)]);
  }
}

/** A row, and whether the members of its many-to-many relations are read with it. */
export interface RowKey {
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  readonly key: readonly unknown[];
  readonly withMembers: boolean;
  /** Whether the row must still be there when the transaction ends. */
  readonly isThere?: boolean;
}

/** The place of a row in the lists of all shapes. */
export interface ListedRow<Row> {
  readonly row: Row;
  readonly shape: string;
  readonly list: number;
  /** The key as JSON values. */
  readonly key: readonly unknown[];
}

export interface ListedRows<Row> {
  readonly shapes: readonly RowShape[];
  readonly places: readonly ListedRow<Row>[];
  /** The keys of the rows of each shape, as a parameter of the statement. */
  readonly keys: readonly string[];
  /** The SQL of each list. */
  readonly texts: readonly string[];
}

type Keys = readonly (readonly unknown[])[];

interface Keyed {
  readonly key: readonly unknown[];
  readonly isThere: boolean | undefined;
}

interface FoundRow {
  /** The number of its key; null where no row was found. */
  readonly o: number | null;
  readonly row: unknown;
}

/** Statements that read the rows of one shape. */
interface Texts {
  readonly read: string;
  readonly lock: string;
  readonly locked: string;
  /** SQL of lists, by the number of the parameter that holds the keys. */
  readonly lists: string[];
}

/** Reads with plain settings, then restores those of the session, so that later statements of the application read texts as before. */
function inPlainTexts(select: string): string {
  const former = `_former as materialized (select f.former from (select count(*) from _found) c, lateral (${formerTexts} where c.count >= 0) f)`;
  return `with ${plainTexts}, _found as materialized (${select}), ${former} select o, row from _former left join _found on true`;
}

function rowByKey(shape: RowShape): string {
  return `select ${shape.sql} as row from ${shape.from} where ${byKey(shape)}`;
}

/** Begins the error of a statement that finds a row hidden: SQL has no other way to throw. */
const hiddenMark = 'signalbox: a policy hides ';

/** SQL for a row that was not found. If the row has to be there, it converts a text to a number, which fails. */
function hiddenRow({ meta, mayHide, members }: RowShape): string {
  const mark = `${hiddenMark}${meta.className}`.replaceAll("'", "''");
  const type = members.length > 0 ? 'json' : 'text';
  return `case when k.there and (${mayHide}) then ('${mark}' || left(k.o::text, 0))::int::text::${type} end`;
}

/** The class of the row that a policy hides, if a statement failed for that reason. */
export function hiddenClass(error: unknown): string | undefined {
  const { message } = Object(error) as { readonly message?: unknown };
  const [, rest] = String(message).split(hiddenMark);
  return rest && /^[\w$]+/.exec(rest)?.[0];
}

export function hiddenFault(className: string, cause?: unknown): ConfigurationError {
  const fault = {
    class: 'createApp',
    member: 'orm',
    reason:
      `has a transaction that wrote a row of ${className}, or a link to it, which a policy of row level security may hide from it: ` +
      'its new state cannot be read.',
    remedy:
      'Let a policy for SELECT pass what the role may write, or run `reset role` after the last flush of the transaction; ' +
      "where raw SQL or the database deletes the row, call announce(…, 'delete') before.",
  };
  return new ConfigurationError(fault, { cause });
}

/** SQL that turns a parameter of keys into a table `k` of their numbers, their columns and whether the row has to be there. */
function keyed({ key }: RowShape, parameter: string): string {
  const columns = key.map(({ type }, index) => `k${index} ${type}`).join(', ');
  return `json_to_recordset((${parameter})::json) as k(o int, there bool, ${columns})`;
}

function byKey({ key }: RowShape): string {
  return key.map(({ column }, index) => `t."${column.replaceAll('"', '""')}" = k.k${index}`).join(' and ');
}

/** `[{"o":0,"k0":1}, …]` */
function keysAsJson(
  { key }: RowShape,
  keys: Keys,
  more: (index: number) => object | undefined | false = () => undefined,
): string {
  return JSON.stringify(
    keys.map((values, o) => ({
      o,
      ...more(o),
      ...Object.fromEntries(key.map((_, index) => [`k${index}`, keyText(values[index])])),
    })),
  );
}

/** The keys as JSON, each with whether its row has to be there. */
function keysOfList(shape: RowShape, keys: readonly Keyed[]): string {
  return keysAsJson(
    shape,
    keys.map(({ key }) => key),
    (index) => keys[index]?.isThere && { there: true },
  );
}

export function keyText(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value;
}
