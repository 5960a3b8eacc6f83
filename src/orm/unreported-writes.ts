import { AsyncLocalStorage } from 'node:async_hooks';
import { isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import { ownFolder } from '../copies.js';
import type { Logger } from '../logger.js';
import { announced } from './announced.js';

type Patchable = Record<string, (...parameters: unknown[]) => unknown>;

type Listener = (sql: string) => void;

/** A writing call, with its stack. */
interface Call {
  readonly stack: string;
  /** Whether observers receive what it writes. */
  readonly isReported: boolean;
}

/**
 * Methods of entity managers that write without a report. The stack is taken before they run: after their first wait, the caller may be
 * missing from it.
 */
const unreportedCalls = ['nativeUpdate', 'nativeDelete', 'nativeClone', 'insert', 'insertMany'];
const reportedCalls = ['upsert', 'upsertMany'];
/** Methods of the driver that entity managers and units of work call. */
const driverCalls = [
  'nativeInsert',
  'nativeInsertMany',
  'nativeUpdate',
  'nativeUpdateMany',
  'nativeDelete',
  'syncCollections',
];
/** The index of the entity manager among the parameters of the driver's `createQueryBuilder`. */
const builderEm = 6;
/** The types of query builders that write. */
const writingTypes: ReadonlySet<unknown> = new Set(['INSERT', 'UPDATE', 'DELETE', 'UPSERT']);
const callers = new AsyncLocalStorage<Call>();
const listeners = new WeakMap<object, Set<Listener>>();
/** The patches of a prototype or an object, which all applications of the process share. */
const patches = new WeakMap<object, { count: number; readonly undo: () => void }>();
const writing =
  /^\s*(?:with\b[\s\S]*?\b)?(?:insert\s+into|update|delete\s+from)\s+(?:only\s+)?((?:"?[\w$]+"?\.)?"?[\w$]+"?)/i;
const ofUnitOfWork = /UnitOfWork|ChangeSetPersister/;
const deleting = /^\s*(?:with\b[\s\S]*?\b)?delete\b/i;
const remedy = 'Inject Announcer and write inside announcing(), or write through the unit of work.';

/**
 * Warns of writes that no observer receives, with the application's line that made them, once per line and model. It is for development:
 * every write costs a stack trace.
 *
 * @param isObserved whether a model has an observer
 * @returns a function that ends it
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
  const told = new Set<string>();
  const warn = (message: string, model: string, stack: string): void => {
    const place = placeOf(stack);
    const key = `${model} ${place}`;
    if (told.has(key)) return;
    told.add(key);
    logger.warn(message, { model, place, remedy });
  };
  const listener = (sql: string): void => {
    const table = writtenTable(sql) ?? '';
    const model = models.get(table);
    const cascaded = deleting.test(sql) ? cascading.get(table) : undefined;
    const unlinked = deleting.test(sql) ? unlinking.get(table) : undefined;
    if ((model ?? cascaded ?? unlinked) === undefined || announced.getStore()) return;
    const { stack, isReported } = currentCall();
    const changed = cascaded ?? (isReported ? undefined : unlinked);
    if (model !== undefined && !isReported)
      warn('Rows were written, and no observer receives the change.', model, stack);
    else if (changed !== undefined)
      warn('The database may change rows, and no observer receives the change.', changed, stack);
  };
  return models.size > 0 ? listen(em, listener) : () => {};
}

/** The tables whose deleted rows make the database, not the ORM, delete rows of a model. */
function cascadingInto(meta: EntityMetadata): readonly string[] {
  return meta.relations.flatMap(({ kind, deleteRule, targetMeta, name, inversedBy }) => {
    if (!targetMeta || kind === 'm:n' || deleteRule !== 'cascade') return [];
    const inverse = targetMeta.relations.find((prop) => prop.name === inversedBy || prop.mappedBy === name);
    const isCascadedByOrm = inverse?.orphanRemoval || inverse?.cascade?.some((each) => /remove|all/.test(each));
    return isCascadedByOrm ? [] : targetMeta.tableName;
  });
}

/** The tables whose deleted rows disappear from the many-to-many relations of a model. */
function heldBy(meta: EntityMetadata): readonly string[] {
  return meta.relations.flatMap(({ kind, owner, targetMeta }) =>
    kind === 'm:n' && owner && targetMeta ? targetMeta.tableName : [],
  );
}

function listen(em: EntityManager, listener: Listener): () => void {
  const connection = em.getConnection('write') as unknown as Patchable;
  const known = listeners.get(connection) ?? new Set<Listener>();
  listeners.set(connection, known);
  known.add(listener);
  const ends = [
    patch(connection, { execute: (run, [sql]) => tell(known, sql, run) }),
    patch(em.getDriver(), { ...each(driverCalls, duringDriverCall), createQueryBuilder: builtByCaller }),
    // The entity managers of all contexts share this prototype.
    patch(Object.getPrototypeOf(em), {
      ...each(unreportedCalls, duringUnreportedCall),
      execute: (run, [sql]) => (typeof sql === 'string' && !writing.test(sql) ? run() : duringUnreportedCall(run)),
      ...each(reportedCalls, (run) => callers.run({ stack: longStack(), isReported: true }, run)),
    }),
  ];
  return () => {
    known.delete(listener);
    for (const end of ends) end();
  };
}

function tell(known: ReadonlySet<Listener>, sql: unknown, run: () => unknown): unknown {
  for (const listener of known) listener(typeof sql === 'string' ? sql : '');
  return run();
}

function duringUnreportedCall(run: () => unknown): unknown {
  return callers.run({ stack: longStack(), isReported: false }, run);
}

/** A call of the unit of work counts as its own call, even if a hook of an application's call flushes. */
function duringDriverCall(run: () => unknown): unknown {
  const stack = longStack();
  const isReported = ofUnitOfWork.test(linesOf(stack)[0] ?? '');
  return isReported || !callers.getStore() ? callers.run({ stack, isReported }, run) : run();
}

/**
 * A query builder with an entity manager is the application's; it sends its statement later. The driver makes its own builders without one.
 */
function builtByCaller(run: () => unknown, parameters: readonly unknown[]): unknown {
  const builder = run() as Patchable;
  const { execute } = builder;
  const [em] = parameters.slice(builderEm);
  if (!execute || !em) return builder;
  builder['execute'] = (...parameters) => {
    const run = (): unknown => execute.apply(builder, parameters);
    return writingTypes.has(Reflect.get(builder, 'type')) ? duringUnreportedCall(run) : run();
  };
  return builder;
}

/**
 * The call that a statement belongs to. A statement that the application passes to the connection itself belongs to no other call, not even
 * to one whose hook it runs in.
 */
function currentCall(): Call {
  const stack = longStack();
  const isOfOrm = linesOf(stack)[0]?.includes('/@mikro-orm/') ?? false;
  return (isOfOrm ? callers.getStore() : undefined) ?? { stack, isReported: isOfOrm && ofUnitOfWork.test(stack) };
}

type Around = (run: () => unknown, parameters: readonly unknown[]) => unknown;

function each(names: readonly string[], around: Around): Readonly<Record<string, Around>> {
  return Object.fromEntries(names.map((name) => [name, around]));
}

/**
 * Wraps methods, once for all callers.
 *
 * @returns a function that unwraps them, after the last caller has called it
 */
function patch(target: object, arounds: Readonly<Record<string, Around>>): () => void {
  const known = patches.get(target) ?? { count: 0, undo: replaceMethods(target, arounds) };
  patches.set(target, known);
  known.count += 1;
  return () => {
    known.count -= 1;
    if (known.count > 0) return;
    patches.delete(target);
    known.undo();
  };
}

function replaceMethods(target: object, arounds: Readonly<Record<string, Around>>): () => void {
  const undoing = Object.entries(arounds).flatMap(([name, around]) => {
    const method: unknown = Reflect.get(target, name);
    if (typeof method !== 'function') return [];
    const own = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, {
      configurable: true,
      writable: true,
      value(this: unknown, ...parameters: unknown[]) {
        return around(() => method.apply(this, parameters), parameters);
      },
    });
    return () => (own ? Object.defineProperty(target, name, own) : Reflect.deleteProperty(target, name));
  });
  return () => {
    for (const undo of undoing) undo();
  };
}

/** The table of a model and the tables of its many-to-many relations. */
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

/** File and line of the first frame in the application's code; if there is none, in the package that called the ORM. */
function placeOf(stack: string): string {
  const places = linesOf(stack).map((line) => line.replace(/^.*\(|\)$|^\s+at (?:async )?/g, ''));
  const frames = places.filter((frame) => !/\/(?:@mikro-orm|kysely)\//.test(frame));
  const frame = frames.find((each) => !each.includes('/node_modules/')) ?? frames[0];
  if (frame === undefined) return 'unknown';
  const path = frame.startsWith('file:') ? fileURLToPath(frame) : frame;
  const shown = relative(process.cwd(), path);
  const place = shown.startsWith('..') || isAbsolute(shown) ? path : shown;
  return place.replace(/:\d+$/, '');
}

/** The lines of a stack trace that lie outside of Node.js and Signalbox. */
function linesOf(stack: string): readonly string[] {
  const lines = stack.replaceAll('\\', '/').split('\n');
  return lines.filter((line) => /:\d+:\d+\)?$/.test(line) && !line.includes('node:') && !isOwn(line));
}

/** Folders of Signalbox's compiled code and of its sources. */
const ownCode = ['dist', 'src'].map((part) => `${ownFolder.replaceAll('\\', '/')}/${part}/`);

function isOwn(line: string): boolean {
  return ownCode.some((folder) => line.includes(folder));
}
