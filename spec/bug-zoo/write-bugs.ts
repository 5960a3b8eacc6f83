import { always, answered, leftOut, reworded } from './faults.js';
import type { Bug } from './plant.js';

/** One-statement writes that say something else in one place. */
function sql(passage: string, instead: string) {
  const change = reworded(passage, instead);
  return (original: (...given: unknown[]) => string) =>
    (...given: unknown[]): string =>
      change(original(...given));
}

export const writeBugs: readonly Bug[] = [
  {
    name: 'a patch that changes nothing is written and told',
    story: 'The statement compares no values.',
    plant: { symbol: 'updateSql', with: sql(' and (', ' and (true or ') },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a write by one statement leaves no entry in the log',
    story: 'The application is told that nobody observes the model.',
    plant: {
      symbol: 'ChangeLog.oneRow',
      with: () => async () => ({ logged: undefined }),
    },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a row is shown as it was before a trigger behind its write',
    story: 'Nobody asks the table for its triggers.',
    plant: { symbol: 'askTriggers', with: () => async () => false },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a reply shows rows of the same table as they were before the write',
    story: 'Nobody asks whether the statement has to look at its own table.',
    plant: { symbol: 'isShownBySql', with: always(true) },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a row is written by what a permission saw of it before another writer changed it',
    story: 'The statement does not ask whether the row still has the version that was judged.',
    plant: {
      symbol: 'lockedSql',
      with: answered((text: string) => text.replace('t._version = ', 't._version is not null or t._version = ')),
    },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'a row that leads to another one which has come meanwhile is answered 404',
    story: 'What the statement finds in other tables is taken for what there is, although it began before it waited.',
    plant: {
      symbol: 'ModelQueries.condition',
      with: answered(async (found: Promise<object | undefined>) => {
        const condition = await found;
        return condition && { ...condition, looksAtOthers: false };
      }),
    },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'two requests that name the same rows in different orders end in a deadlock',
    story: 'Rows are locked in the order in which they are written.',
    plant: { symbol: 'lockInOrder', with: leftOut },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'a client that may not delete a row deletes it in a list',
    story: 'Only the permissions of the bulk action are asked.',
    plant: { symbol: 'askAction', with: leftOut },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'an error of one row of a list does not say of which',
    story: 'Errors are thrown as the action for one row throws them.',
    plant: { symbol: 'indexed', with: () => (_index: number, detail: unknown) => detail },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'an update of a column that stands in the table of the parent class is told to nobody',
    story: 'The class that MikroORM names is taken for that of the row.',
    plant: { symbol: 'ownMeta', with: answered(({ root }: { readonly root: unknown }) => root) },
    caughtBy: ['consumers/followed-classes'],
  },
  {
    name: 'rows of a list are written by what was judged before they were locked',
    story: 'They are loaded and judged once.',
    plant: { symbol: 'holdRows', with: leftOut },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'rows of a list are written although one of them is not there',
    story: 'The statement does not compare what it has locked with what it was given.',
    plant: { symbol: 'areAllThere', with: () => 'true' },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'two lists that one statement each writes end in a deadlock',
    story: 'The statement locks its rows in whatever order it finds them.',
    plant: {
      symbol: 'lockedRowsSql',
      with: answered((text: string) => text.replace(/ order by (.*?) for /, ' order by i._o for ')),
    },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a list is written by what a permission saw of its rows before another writer changed them',
    story: 'The statement does not ask whether each row still has the version that was judged.',
    plant: {
      symbol: 'lockedRowsSql',
      with: answered((text: string) => text.replace('t._version = ', 't._version is not null or t._version = ')),
    },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'events of a list come in another order than its items',
    story: 'The entry has the rows in the order in which they were written.',
    plant: {
      symbol: 'logRowsSql',
      with: answered((text: string) => text.replaceAll('order by t._o', 'order by -t._o')),
    },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a value that is taken does not say which item of a list has it',
    story: 'The error of the database is told as it is.',
    plant: { symbol: 'noteItem', with: leftOut },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'a value that is taken is said of the item that keeps it',
    story: 'The last item with the value is taken for the one that was to get it.',
    plant: {
      symbol: 'isRefusedValueOf',
      with: () => (row: { readonly name?: unknown }, _meta: unknown, error: object) =>
        String(Reflect.get(error, 'detail')).includes(`(${row.name})`),
    },
    caughtBy: ['consumers/model-bulk'],
  },
  {
    name: 'a row with tables of its own that leaves the sight of a subscriber is told to nobody',
    story: 'What stands in the table of the parent is asked of the row that is stored by now.',
    plant: { symbol: 'ofThisRow', with: () => (_reader: unknown, _meta: unknown, condition: string) => condition },
    caughtBy: ['consumers/followed-classes'],
  },
  {
    name: 'a row is not found whose partner has changed while the statement waited, though the query takes both',
    story: 'The query stands inside of the locking select, as a join of the old partner.',
    plant: { symbol: 'lockedSql', with: answered(judgedWithinLock) },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'a patch waits for every transaction that refers to its row',
    story: 'The statement locks the row as if its key were to change.',
    plant: { symbol: 'updateSql', with: sql('for no key update', 'for update') },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'a list waits for every transaction that refers to one of its rows',
    story: 'The statement locks the rows as if their keys were to change.',
    plant: { symbol: 'updateRowsSql', with: sql('for no key update', 'for update') },
    caughtBy: ['consumers/judged-writes'],
  },
  {
    name: 'a patch of JSON is refused, because its type knows no equality',
    story: 'Values are compared by their types, and not as texts.',
    plant: { symbol: 'updateSql', with: sql('::text collate "C"', '') },
    caughtBy: ['consumers/model-writes'],
  },
  {
    name: 'a key that a patch changes is written and told to nobody',
    story: 'The statement takes keys for columns like others.',
    plant: {
      symbol: 'isPlainData',
      in: 'consumers/model-writes',
      with:
        (original: (meta: { readonly primaryKeys: readonly string[] }, kind: string, data: object) => boolean) =>
        (meta: { readonly primaryKeys: readonly string[] }, kind: string, data: object) =>
          original(meta, kind, data) || meta.primaryKeys.some((name) => name in data),
    },
    caughtBy: ['consumers/model-writes'],
  },
];

/** PostgreSQL makes a semi-join of such an `exists`, and does not look for another partner once it has waited. */
function judgedWithinLock(text: string): string {
  const parts = / (for (?:no key )?update of t)\), o as \(select t\.\* from k t where \((.*)\)\)$/s.exec(text);
  if (!parts || text.includes('_version')) return text;
  const [all, lock, condition = ''] = parts;
  const joined = condition.replace(
    /^exists \(select from \(select\) as one (?:left|inner) join ("[^"]+" as "[^"]+") on (.*?) where (.*)\)$/s,
    'exists (select from $1 where $2 and $3)',
  );
  return text.replace(all, () => ` and ${joined} ${lock}), o as (select t.* from k t)`);
}
