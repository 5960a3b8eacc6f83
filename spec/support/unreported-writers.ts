import type { EntityManager } from '@mikro-orm/postgresql';
import { Person, Thing } from './things.js';

/** A write that no observer hears of, and the line on which it is made. */
export interface UnreportedWriter {
  readonly line: string;
  readonly write: (em: EntityManager) => Promise<unknown>;
}

/** The line that comes after the one that asks, as the log should name it. */
function nextLine(): string {
  const { stack = '' } = new Error('asked');
  const [, path = '', line = ''] = /\(?(?:file:\/\/)?(\/[^()]*):(\d+):\d+\)?$/.exec(stack.split('\n')[2] ?? '') ?? [];
  return `${path.replace(`${process.cwd()}/`, '')}:${Number(line) + 1}`;
}

let created = 0;

const newThing = (): { readonly name: string } => ({ name: `new ${++created}` });

const later = (): Promise<void> => Promise.resolve();

/** Each the way in which code may lose its own frame before the ORM sends the statement. */
export const unreportedWriters: Readonly<Record<string, UnreportedWriter>> = {
  'a promise that is returned': {
    line: nextLine(),
    write: async (em) => em.nativeUpdate(Thing, { id: 1 }, { count: 1 }),
  },
  'promises that are awaited together': {
    line: nextLine(),
    write: (em) => Promise.all([em.nativeDelete(Thing, { id: 77 }), later()]),
  },
  'a promise with more behind it': {
    line: nextLine(),
    write: (em) => later().then(() => em.insertMany(Thing, [newThing()]).then(() => later())),
  },
  'a promise with a way out': {
    line: nextLine(),
    write: (em) => em.insert(Thing, newThing()).catch(() => later()),
  },
  'a query builder': {
    line: nextLine(),
    write: (em) => em.createQueryBuilder(Thing).update({ shelf: 1 }).where({ id: 2 }).execute().then(later),
  },
  'a query builder in a transaction': {
    line: nextLine(),
    write: (em) => em.transactional((own) => own.qb(Thing).delete({ id: 78 }).execute()),
  },
  'SQL of an entity manager': {
    line: nextLine(),
    write: (em) => em.execute(`update thing set name = 'raw' where id = 1`).then(later),
  },
  'SQL of a connection': {
    line: nextLine(),
    write: (em) => em.getConnection().execute(`update thing set name = 'raw' where id = 1`),
  },
};

/** One line that writes two models. */
export const writeBoth = async (em: EntityManager, model: typeof Thing | typeof Person, id: number) =>
  em.nativeDelete<Thing | Person>(model, { id });
