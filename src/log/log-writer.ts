import type { EntityManager } from '@mikro-orm/core';
import type { RowNote, Stage } from '../orm/commit-buffer.js';
import type { RowShape } from '../orm/row.js';
import { byKey, keyed, keysAsJson, keyText, type RowReader } from '../orm/row-reader.js';
import { runStatement, type StatementConnection } from '../orm/statements.js';
import { type Entry, type EntryRow, processId } from './entry.js';

/** A transaction of more rows has its entry say which classes they are of, instead of the rows. */
const mostRows = 100_000;

/** Rows of one shape, in the order in which the transaction first wrote them. */
interface List {
  readonly shape: RowShape;
  readonly notes: RowNote[];
}

/**
 * Appends what a transaction did, by one statement on its own connection: the database puts the rows as they are stored behind what
 * is known of them here. It has to be the last statement, while the transaction holds the locks of its rows: whoever writes one of
 * them next has its entry behind this one.
 */
export async function append(
  em: EntityManager,
  connection: StatementConnection,
  reader: RowReader,
  stage: Pick<Stage, 'rows' | 'signals' | 'rechecks'>,
  limits: { readonly largestEntry: number },
  cause: string | undefined,
): Promise<void> {
  // Rows that are linked to others come behind these, which may be new.
  const notes = [...stage.rows.values()].sort(
    (one, other) => Number(one.isRelinked ?? 0) - Number(other.isRelinked ?? 0),
  );
  const head = {
    v: 1 as const,
    process: processId,
    ...(cause !== undefined && { cause }),
    ...(stage.signals.length > 0 && { signals: stage.signals }),
    ...(stage.rechecks.length > 0 && { rechecks: stage.rechecks }),
  };
  const untold: Entry = { ...head, rows: [], after: [], untold: [...new Set(notes.map(({ meta }) => meta.className))] };
  if (notes.length > mostRows) {
    await runStatement(connection, { text: 'insert into signalbox.log (entries) values ($1)' }, [
      JSON.stringify(untold),
    ]);
    return;
  }
  const lists = await listsOf(em, connection, reader, notes);
  const rows = notes.map((note) => entryRow(note, lists));
  const text = JSON.stringify({ ...head, rows }).slice(0, -1);
  const parameters = [`${text},"after":`, JSON.stringify(untold), limits.largestEntry];
  const selects = lists.map(({ shape, notes: own }) => {
    const parameter = `$${parameters.push(
      keysAsJson(
        shape,
        own.map(({ key }) => key),
      ),
    )}`;
    return `(select json_agg(case when ${isThere(shape)} then ${shape.sql} end order by k.o) from ${keyed(shape, parameter)} left join ${shape.from} on ${byKey(shape)})`;
  });
  const entry = `$1 || ${lists.length > 0 ? `json_build_array(${selects.join(', ')})::text` : "'[]'"} || '}'`;
  const bounded = `select case when octet_length(e) > $3::int then $2 else e end from (select ${entry} as e) x`;
  await runStatement(
    connection,
    { name: 'append', text: `insert into signalbox.log (entries) ${bounded}` },
    parameters,
  );
}

async function listsOf(
  em: EntityManager,
  connection: StatementConnection,
  reader: RowReader,
  notes: readonly RowNote[],
): Promise<readonly List[]> {
  const lists = new Map<RowShape, List>();
  for (const note of notes) {
    const shape = await reader.shapeOf(em, connection, note.meta, note.schema, note.withMembers);
    const list = lists.get(shape) ?? { shape, notes: [] };
    list.notes.push(note);
    lists.set(shape, list);
  }
  return [...lists.values()];
}

function entryRow(note: RowNote, lists: readonly List[]): EntryRow {
  const { meta, schema, key, before, origin } = note;
  const list = lists.findIndex(({ notes }) => notes.includes(note));
  return {
    class: meta.className,
    ...(schema !== undefined && { schema }),
    key: key.map(keyText),
    shape: lists[list]?.shape.id ?? '',
    list,
    ...(!note.wasThere && { isNew: true }),
    ...(note.isQuiet && { isQuiet: true }),
    ...(note.isGoing && { isGoing: true }),
    ...(before !== undefined && { before }),
    ...(origin !== undefined && { origin }),
  };
}

function isThere({ key }: RowShape): string {
  const [first] = key;
  return `t."${(first?.column ?? '').replaceAll('"', '""')}" is not null`;
}
