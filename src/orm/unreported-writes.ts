import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { Logger } from '../logger.js';
import { announced } from './announced.js';

type Patchable = Record<string, (...parameters: unknown[]) => unknown>;

type Listener = (sql: string) => void;

const driverWrites = [
  'nativeInsert',
  'nativeInsertMany',
  'nativeUpdate',
  'nativeUpdateMany',
  'nativeDelete',
  'syncCollections',
];
/** The stack of the code that called the driver. */
const callers = new AsyncLocalStorage<string>();
const listeners = new WeakMap<object, Set<Listener>>();
const writing =
  /^\s*(?:with\b[\s\S]*?\b)?(?:insert\s+into|update|delete\s+from)\s+(?:only\s+)?((?:"?[\w$]+"?\.)?"?[\w$]+"?)/i;
/** Writes through these make events. */
const reporting = /UnitOfWork|ChangeSetPersister|EntityManager\.upsert/;
const deleting = /^\s*(?:with\b[\s\S]*?\b)?delete\b/i;
const remedy = 'Inject Announcer and write inside announcing(), or write through the unit of work.';
const foreign = /node:|node_modules|orm[\\/]unreported-writes/;

/**
 * Warns of writes that no observer hears of, with the place in the application that made them, once per place. For
 * development: every write costs a stack trace.
 *
 * @param isObserved which models have an observer
 * @returns what ends it
 */
export function warnOfUnreportedWrites(
  em: EntityManager,
  isObserved: (entity: { readonly prototype: object }) => boolean,
  logger: Logger,
): () => void {
  const observed = [...em.getMetadata().getAll().values()].filter((meta) => meta.class && isObserved(meta.class));
  const models = new Map(observed.flatMap((meta) => tablesOf(meta).map((table) => [table, meta.className] as const)));
  const cascading = new Map(
    observed.flatMap((meta) => cascadingInto(meta).map((table) => [table, meta.className] as const)),
  );
  const unlinking = new Map(observed.flatMap((meta) => heldBy(meta).map((table) => [table, meta.className] as const)));
  const places = new Set<string>();
  const warn = (message: string, model: string, stack: string): void => {
    const place = placeOf(stack);
    if (places.has(place)) return;
    places.add(place);
    logger.warn(message, { model, place, remedy });
  };
  const listener = (sql: string): void => {
    const table = writtenTable(sql) ?? '';
    const model = models.get(table);
    const cascaded = deleting.test(sql) ? cascading.get(table) : undefined;
    const unlinked = deleting.test(sql) ? unlinking.get(table) : undefined;
    if ((model ?? cascaded ?? unlinked) === undefined || announced.getStore()) return;
    const stack = callers.getStore() ?? longStack();
    const isReported = reporting.test(stack);
    const changed = cascaded ?? (isReported ? undefined : unlinked);
    if (model !== undefined && !isReported) warn('Rows were written of which no observer hears.', model, stack);
    else if (changed !== undefined) warn('The database may change rows of which no observer hears.', changed, stack);
  };
  return models.size > 0 ? listen(em, listener) : () => {};
}

/** The tables whose rows take rows of a model with them when they are deleted, by the database and not by the ORM. */
function cascadingInto(meta: EntityMetadata): readonly string[] {
  return meta.relations.flatMap(({ kind, deleteRule, targetMeta, name, inversedBy }) => {
    if (!targetMeta || kind === 'm:n' || deleteRule !== 'cascade') return [];
    const inverse = targetMeta.relations.find((prop) => prop.name === inversedBy || prop.mappedBy === name);
    const isCascadedByOrm = inverse?.orphanRemoval || inverse?.cascade?.some((each) => /remove|all/.test(each));
    return isCascadedByOrm ? [] : targetMeta.tableName;
  });
}

/** The tables whose rows are taken out of the many-to-many relations of a model when they are deleted. */
function heldBy(meta: EntityMetadata): readonly string[] {
  return meta.relations.flatMap(({ kind, owner, targetMeta }) =>
    kind === 'm:n' && owner && targetMeta ? targetMeta.tableName : [],
  );
}

function listen(em: EntityManager, listener: Listener): () => void {
  const connection = em.getConnection('write') as unknown as Patchable;
  const driver = em.getDriver() as unknown as Patchable;
  const known = listeners.get(connection) ?? new Set<Listener>();
  listeners.set(connection, known);
  if (known.size === 0) {
    const tell = (sql: unknown): void => {
      for (const each of known) each(typeof sql === 'string' ? sql : '');
    };
    patch(connection, 'execute', (run, [sql]) => {
      tell(sql);
      return run();
    });
    // Further down the stack is lost: not every promise in between is awaited.
    for (const name of driverWrites) patch(driver, name, (run) => callers.run(longStack(), run));
  }
  known.add(listener);
  return () => {
    known.delete(listener);
    if (known.size > 0) return;
    delete connection['execute'];
    for (const name of driverWrites) delete driver[name];
  };
}

function patch(target: Patchable, name: string, around: (run: () => unknown, parameters: unknown[]) => unknown): void {
  const method = target[name];
  if (!method) return;
  target[name] = function (this: unknown, ...parameters) {
    return around(() => method.apply(this, parameters), parameters);
  };
}

/** The table of a model and those of its many-to-many relations. */
function tablesOf(meta: EntityMetadata): readonly string[] {
  const pivots = meta.relations.flatMap(({ kind, pivotTable }) => (kind === 'm:n' && pivotTable ? pivotTable : []));
  return [meta.tableName, ...pivots];
}

function writtenTable(sql: string): string | undefined {
  return writing.exec(sql)?.[1]?.split('.').at(-1)?.replaceAll('"', '');
}

function longStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 100;
  const { stack = '' } = new Error('here');
  Error.stackTraceLimit = stackTraceLimit;
  return stack;
}

/** The first frame that belongs to the application. */
function placeOf(stack: string): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !foreign.test(line));
  return frames[0]?.trim().replace(/^at /, '') ?? 'unknown';
}
