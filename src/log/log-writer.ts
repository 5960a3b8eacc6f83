import type { EntityManager } from '@mikro-orm/core';
import type { RowNote, Stage } from '../orm/commit-buffer.js';
import type { RowShape } from '../orm/row.js';
import { keysAsJson, keyText, type RowReader, rowsByKey } from '../orm/row-reader.js';
import { runStatement, type StatementConnection } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import type { Entry, EntryRow } from './entry.js';

/** A transaction of more rows has its entry say which classes they are of, instead of the rows. */
const mostRows = 100_000;

/** Rows of one shape, in the order in which the transaction first wrote them. */
interface List {
  readonly shape: RowShape;
  readonly number: number;
  readonly keys: (readonly unknown[])[];
}

/**
 * Appends what a transaction did, by one statement on its own connection: the database puts the rows as they are stored behind what
 * is known of them here. It has to be the last statement, while the transaction holds the locks of its rows: the transaction
 * that writes one of them next has its entry behind this one.
 */
export async function append(
  em: EntityManager,
  connection: StatementConnection,
  reader: RowReader,
  stage: Pick<Stage, 'rows' | 'signals' | 'rechecks'>,
  settings: Pick<ChangeLogSettings, 'largestEntry' | 'preparedStatements'>,
  cause: string | undefined,
): Promise<void> {
  const notes = inOrder(stage);
  const head = {
    v: 1 as const,
    ...(cause !== undefined && { cause }),
    ...(stage.signals.length > 0 && { signals: stage.signals }),
    ...(stage.rechecks.length > 0 && { rechecks: stage.rechecks }),
  };
  const untold: Entry = { ...head, rows: [], after: [], untold: [...new Set(notes.map(({ meta }) => meta.className))] };
  const isTold = notes.length <= mostRows;
  const lists = new Map<RowShape, List>();
  const rows: EntryRow[] = [];
  for (const note of isTold ? notes : []) {
    const shape = await reader.shapeOf(em, connection, note.meta, note.schema, note.withMembers);
    const list = lists.get(shape) ?? { shape, number: lists.size, keys: [] };
    lists.set(shape, list);
    list.keys.push(note.key);
    rows.push(entryRow(note, list));
  }
  const text = JSON.stringify(isTold ? { ...head, rows } : { ...untold, after: undefined }).slice(0, -1);
  const keys = [...lists.values()].map((list) => keysAsJson(list.shape, list.keys));
  const parameters = [`${text},"after":`, JSON.stringify(untold), settings.largestEntry, ...keys];
  const statement = { text: appending([...lists.keys()]) };
  await runStatement(
    connection,
    settings.preparedStatements ? { ...statement, name: 'append' } : statement,
    parameters,
  );
}

/** Rows that are linked to others come behind these, which may be new. */
function inOrder({ rows }: Pick<Stage, 'rows'>): readonly RowNote[] {
  const notes = [...rows.values()];
  return notes.some(({ isRelinked }) => isRelinked)
    ? [...notes.filter(({ isRelinked }) => !isRelinked), ...notes.filter(({ isRelinked }) => isRelinked)]
    : notes;
}

/** Most transactions write rows of a few classes, in one order or another. */
const statements = new Map<string, string>();
const mostStatements = 1_000;

/** `$1`: the entry up to its rows, `$2`: what stands for one that is too long, `$3`: how long it may be, then the keys of each shape. */
function appending(shapes: readonly RowShape[]): string {
  const name = shapes.map(({ id }) => id).join();
  const known = statements.get(name);
  if (known) return known;
  const lists = shapes.map((shape, index) => `(${rowsByKey(shape, `$${index + 4}`)})`);
  const after = lists.length > 0 ? `json_build_array(${lists.join(', ')})::text` : `'[]'`;
  // Materialized: the rows would be read twice.
  const entry = `with entry as materialized (select $1 || ${after} || '}' as e)`;
  const text = `${entry} insert into signalbox.log (entries) select case when octet_length(e) > $3::int then $2 else e end from entry`;
  if (statements.size >= mostStatements) statements.clear();
  statements.set(name, text);
  return text;
}

function entryRow(note: RowNote, { shape, number }: List): EntryRow {
  const { meta, schema, key, before, origin } = note;
  return {
    class: meta.className,
    ...(schema !== undefined && { schema }),
    key: key.map(keyText),
    shape: shape.id,
    list: number,
    ...(!note.wasThere && { isNew: true }),
    ...(note.isQuiet && { isQuiet: true }),
    ...(note.isGoing && { isGoing: true }),
    ...(before !== undefined && { before }),
    ...(origin !== undefined && { origin }),
  };
}
