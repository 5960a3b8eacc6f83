import type { EntityManager } from '@mikro-orm/core';
import type { RowNote, Stage } from '../orm/change-capture.js';
import type { RowShape } from '../orm/row.js';
import type { ListedRow, RowReader } from '../orm/row-reader.js';
import { formerTexts, plainTexts } from '../orm/session-settings.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { type RunStatement, runStatement } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import type { Entry, EntryRow } from './entry.js';

/** Above this number of rows in a transaction, its entry names the rows' classes instead of the rows. */
export const mostRows = 100_000;

/**
 * Appends what a transaction did, by one statement on the transaction's connection. The database adds the rows as they are stored to what
 * this process knows of them. It has to be the last statement, while the transaction holds the locks of its rows: then the transaction that
 * writes one of them next appends its entry after this one.
 *
 * @param run runs the statement
 * @returns the id of the row
 */
export async function append(
  em: EntityManager,
  connection: StatementConnection,
  reader: RowReader,
  stage: Pick<Stage, 'rows' | 'signals' | 'rechecks'>,
  settings: Pick<ChangeLogSettings, 'largestEntry' | 'preparedStatements'>,
  cause: string | undefined,
  run: RunStatement = (last, keys) => runStatement(connection, last, keys),
): Promise<number> {
  const notes = inOrder(stage);
  const head = {
    v: 1 as const,
    ...(cause !== undefined && { cause }),
    ...(stage.signals.length > 0 && { signals: stage.signals }),
    ...(stage.rechecks.length > 0 && { rechecks: stage.rechecks }),
  };
  const untold: Entry = { ...head, rows: [], after: [], untold: [...new Set(notes.map(({ meta }) => meta.className))] };
  const isTold = notes.length <= mostRows;
  const { shapes, places, keys, texts } = await reader.list(em, connection, isTold ? notes : [], firstKeys);
  const rows = places.map(entryRow);
  const text = JSON.stringify(isTold ? { ...head, rows } : { ...untold, after: undefined }).slice(0, -1);
  const parameters = [`${text},"after":`, JSON.stringify(untold), settings.largestEntry, ...keys];
  const statement = { text: appending(shapes, texts) };
  const [row] = await run<{ id: unknown }>(
    settings.preparedStatements ? { ...statement, name: 'append' } : statement,
    parameters,
  );
  return Number(row?.id);
}

/**
 * The first parameters of a statement that writes one row and appends its entry.
 *
 * @returns the entry up to the key of its row, the entry that replaces one that is too long, and the longest entry in bytes
 */
export function headOfEntry(
  ...given: Parameters<typeof headOfEntries>
): readonly [head: string, untold: string, largest: number] {
  const [head, untold, largest, row] = headOfEntries(...given);
  return [head + row, untold, largest];
}

/**
 * The first parameters of a statement that writes several rows: the entry up to its rows, the entry that replaces it, the longest entry in
 * bytes, and each row up to its key.
 */
export function headOfEntries(
  shape: RowShape,
  isNew: boolean,
  { largestEntry }: Pick<ChangeLogSettings, 'largestEntry'>,
  cause: string | undefined,
  origin: string | undefined,
): readonly [head: string, untold: string, largest: number, row: string] {
  const start = cause === undefined ? '{"v":1,"rows":[' : `{"v":1,"cause":${JSON.stringify(cause)},"rows":[`;
  const { name, row } = partsOf(shape);
  const isNewRow = isNew ? ',"isNew":true' : '';
  const origins = origin === undefined ? '' : `,"origin":${JSON.stringify(origin)}`;
  return [start, `${start}],"after":[],"untold":[${name}]}`, largestEntry, `${row}${isNewRow}${origins},"key":`];
}

const parts = new WeakMap<RowShape, { readonly name: string; readonly row: string }>();

/** The beginning of each entry's rows of a shape. */
function partsOf(shape: RowShape): { readonly name: string; readonly row: string } {
  const known = parts.get(shape);
  if (known) return known;
  const name = JSON.stringify(shape.meta.className);
  const made = { name, row: `{"class":${name},"shape":${JSON.stringify(shape.id)},"list":0` };
  parts.set(shape, made);
  return made;
}

/** Sorts rows that are linked to others after those, which may be new. */
function inOrder({ rows }: Pick<Stage, 'rows'>): readonly RowNote[] {
  const notes = [...rows.values()];
  return notes.some(({ isRelinked }) => isRelinked)
    ? [...notes.filter(({ isRelinked }) => !isRelinked), ...notes.filter(({ isRelinked }) => isRelinked)]
    : notes;
}

/** Statements by their shapes: most transactions write rows of a few classes, in varying order. */
const statements = new Map<string, string>();
const mostStatements = 1_000;

/** The number of the statement's first parameter that holds keys. */
const firstKeys = 4;

/**
 * Parameters: `$1` the entry up to its rows, `$2` the entry that replaces one that is too long, `$3` the longest entry in bytes, then the
 * keys of each shape.
 */
function appending(shapes: readonly RowShape[], texts: readonly string[]): string {
  const name = shapes.map(({ id }) => id).join();
  const known = statements.get(name);
  if (known) return known;
  const after = texts.length > 0 ? `json_build_array((${texts.join('), (')}))::text` : `'[]'`;
  // Materialized, because the rows would be read twice otherwise.
  const entry = `with ${plainTexts}, entry as materialized (select $1 || ${after} || '}' as e from _plain)`;
  const text = `${entry} insert into signalbox.log (entries) select case when octet_length(e) > $3::int then $2 else e end from entry returning id, (${formerTexts})`;
  if (statements.size >= mostStatements) statements.clear();
  statements.set(name, text);
  return text;
}

/** The state of a row that this process knows before the statement reads it. */
function entryRow({ row, shape, list, key }: ListedRow<RowNote>): EntryRow {
  const { meta, schema, before, origin } = row;
  return {
    class: meta.className,
    ...(schema !== undefined && { schema }),
    key,
    shape,
    list,
    ...(!row.wasThere && { isNew: true }),
    ...(row.isQuiet && { isQuiet: true }),
    ...(row.isGoing && { isGoing: true }),
    ...(before !== undefined && { before }),
    ...(origin !== undefined && { origin }),
  };
}
