import { isDeepStrictEqual } from 'node:util';
import type { EntityProperty } from '@mikro-orm/core';
import type { Request } from '../dispatch/request.js';
import { mostRows } from '../log/log-writer.js';
import { type BulkItem, type BulkShape, bulkItems, bulkSql } from '../orm/bulk-statements.js';
import { unwritable, writtenKey, writtenValue } from '../orm/write-statements.js';
import type { Answers, PermissionChecker } from '../permissions/permission-checker.js';
import type { ActionContext } from '../scope/action-context.js';
import { ofKey } from '../serializers/model-key.js';
import { ShownRow } from '../serializers/model-plan.js';
import { boundSession } from './api-consumer.js';
import { askAhead, type BulkKind, itemContext, listOf } from './model-bulk.js';
import { type AnyModelConsumer, checkedKey, settingsOf } from './model-consumer.js';
import {
  everyRow,
  groundOf,
  judgedColumns,
  runWrite,
  shownWrite,
  valuesOf,
  type WriteGround,
  waitOf,
} from './model-writes.js';

/** A row to write, before it is found. */
interface AskedItem {
  /** The context of a request for this row alone. */
  readonly item: ActionContext;
  readonly answers: Answers;
  /** The key in the entity's form; undefined for a new row. */
  readonly key: unknown;
  readonly keyColumns: readonly unknown[];
  readonly data: unknown;
}

type SentList = Readonly<Record<string, unknown>>;

/**
 * Writes several rows by one statement, all or none, and returns them as they are stored. Undefined if entities are needed, and whenever a
 * row cannot be written: the way through entities finds out which, and answers with that error.
 *
 * @throws ValidationFailed for a value that is no list of rows
 */
export async function writeRows(
  consumer: AnyModelConsumer,
  request: Request,
  kind: BulkKind,
  kwargs: SentList,
): Promise<ShownRow | undefined> {
  const permissions = consumer[boundSession].permissionsOf(kind);
  const isJudged = kind !== 'create' && !permissions.isOpen && permissions.opinionsOn(request.scope).objects;
  const ground = await groundOf(consumer, kind, isJudged);
  if (!ground) return undefined;
  const sent = listOf(consumer, kind === 'delete' ? 'pks' : 'data', kwargs[kind === 'delete' ? 'pks' : 'data']);
  const asked = sent.length > mostRows ? undefined : await askItems(consumer, request, kind, sent, ground);
  if (!asked) return undefined;
  const shown = await shownWrite(consumer, request, kind, ground.meta);
  const visible = kind === 'create' ? undefined : await sharedQuery(consumer, asked);
  const { unitOfWork, reader, meta, log, logged } = ground;
  if (!shown || visible === 'differs' || unitOfWork.isUsed) return undefined;
  const items = await itemsOf(consumer, kind, asked, ground);
  if (!items) return undefined;
  const first = logged ? 6 : 2;
  const filter = visible ? await unitOfWork.queries.condition(reader, meta, visible, first) : everyRow;
  if (!filter) return undefined;
  const versions = isJudged ? await judgedVersions(permissions, asked, visible ?? {}, ground) : undefined;
  if (isJudged && !versions) return undefined;
  const shape: BulkShape = {
    kind: kind === 'patch' ? 'update' : kind,
    selection: shown.selection,
    props: propsOf(items),
    logged,
    filter: filter.text,
    isVersioned: isJudged,
    parameters: first - 1 + filter.values.length,
  };
  const versioned = items.map((item, index) => ({ ...item, ...(versions && { version: versions[index] ?? '' }) }));
  const rows = await run(request, ground, shape, versioned, filter.values);
  if (!rows) return undefined;
  if (logged) log.wroteRow(meta, rows[0]?.at(-1));
  const { planned } = shown;
  if (!planned) return new ShownRow(null, []);
  const data = [];
  for (const row of rows) data.push(await planned.plan.show(row, planned.context));
  return new ShownRow(data as never, []);
}

/** The rows to write; undefined if one of them is named wrongly, or is refused. */
async function askItems(
  consumer: AnyModelConsumer,
  request: Request,
  kind: BulkKind,
  sent: readonly unknown[],
  { meta, reader }: WriteGround,
): Promise<readonly AskedItem[] | undefined> {
  const { lookupUrlKwarg } = settingsOf(consumer);
  const platform = reader.em.getDriver().getPlatform();
  const asked: AskedItem[] = [];
  const named = new Set<string>();
  for (const [index, each] of sent.entries()) {
    if (kind === 'create') {
      const item = itemContext(request, kind, { data: each });
      const answers = await askAhead(consumer, request, index, item);
      if (!answers) return undefined;
      asked.push({ item, answers, key: undefined, keyColumns: [], data: each });
      continue;
    }
    const one = kind === 'delete' ? { [lookupUrlKwarg]: each } : each;
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return undefined;
    const key = unlessThrown(() => checkedKey(consumer, meta, Reflect.get(one, lookupUrlKwarg)));
    const keyColumns = unlessThrown(() => writtenKey(meta, ofKey(meta, key), platform));
    const name = JSON.stringify(keyColumns?.map(String));
    if (!keyColumns || named.has(name)) return undefined;
    named.add(name);
    const item = itemContext(request, kind, { ...one, [lookupUrlKwarg]: key });
    const answers = await askAhead(consumer, request, index, item);
    if (!answers) return undefined;
    asked.push({ item, answers, key, keyColumns, data: Reflect.get(one, 'data') });
  }
  return asked;
}

function unlessThrown<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The query of the consumer, if it is the same for all rows. */
async function sharedQuery(consumer: AnyModelConsumer, asked: readonly AskedItem[]): Promise<object | 'differs'> {
  const queries: object[] = [];
  for (const { item } of asked) queries.push((await consumer['visibleRows'](item)) as object);
  const [first = {}, ...others] = queries;
  return others.every((other) => isDeepStrictEqual(other, first)) ? first : 'differs';
}

/** The checked values of the rows; undefined if one is invalid, or if the statement cannot write it. */
async function itemsOf(
  consumer: AnyModelConsumer,
  kind: BulkKind,
  asked: readonly AskedItem[],
  { meta, reader }: WriteGround,
): Promise<readonly BulkItem[] | undefined> {
  const platform = reader.em.getDriver().getPlatform();
  const items: BulkItem[] = [];
  for (const { item, keyColumns: key, data } of asked) {
    if (kind === 'delete') {
      items.push({ key, values: new Map() });
      continue;
    }
    const values = await valuesOf(consumer, item, meta, kind, data).catch(() => undefined);
    if (!values || values.size === 0) return undefined;
    const written = unlessThrown(
      () => new Map([...values].map(([prop, value]) => [prop, writtenValue(prop, value, platform)])),
    );
    if (!written) return undefined;
    items.push({ key, values: written });
  }
  // If one new row leaves a column to the database, the others cannot set it.
  const [first] = items;
  const hasAll = ({ values }: BulkItem): boolean =>
    values.size === first?.values.size && [...values.keys()].every((prop) => first.values.has(prop));
  return kind === 'create' && !items.every(hasAll) ? undefined : items;
}

function propsOf(items: readonly BulkItem[]): readonly EntityProperty[] {
  const props = new Set(items.flatMap(({ values }) => [...values.keys()]));
  return [...props].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The versions of the rows by which they were judged; undefined if one is missing, is refused, or was judged by more than its columns. */
async function judgedVersions(
  permissions: PermissionChecker,
  asked: readonly AskedItem[],
  visible: object,
  { unitOfWork, reader, meta }: WriteGround,
): Promise<readonly string[] | undefined> {
  const [key, ...others] = meta.getPrimaryProps();
  if (!key || others.length > 0) return undefined;
  const { selection, names } = judgedColumns(reader, meta);
  const where = { $and: [{ [key.name]: { $in: asked.map((each) => each.key) } }, visible] };
  const rows = await unitOfWork.queries.rows(reader, selection, { where });
  const found = new Map(rows.map((row) => [String(row[0]), row]));
  const versions: string[] = [];
  for (const { item, answers, keyColumns } of asked) {
    const row = found.get(String(keyColumns[0]));
    if (!row) return undefined;
    const columns = Object.fromEntries(names.map((name, index) => [name, row[index]]));
    const isGranted = await unitOfWork
      .runWith(meta, { columns }, reader.schema, ({ entity }) =>
        unitOfWork.run(async () => {
          await permissions.checkObject(item, entity, new Map(answers));
          return !unitOfWork.isUsed;
        }),
      )
      .catch(() => false);
    if (!isGranted) return undefined;
    versions.push(String(row.at(-1)));
  }
  return versions;
}

/** PostgreSQL's codes for invalid values and violated constraints. */
const refusedRow = /^2[23]/;

/**
 * Runs the statement; undefined if nothing was written.
 *
 * @throws TimeLimitExceeded, CommitInDoubt, and failures of the database that do not concern one of the rows
 */
async function run(
  request: Request,
  { unitOfWork, log, logged }: WriteGround,
  shape: BulkShape,
  items: readonly BulkItem[],
  values: readonly unknown[],
) {
  const { kind, selection, props, filter, isVersioned } = shape;
  const text = unlessUnwritable(() => bulkItems(shape, items));
  if (text === undefined) return undefined;
  const head = logged ? log.headOfEntries(logged, kind === 'create') : [];
  const told = `${logged?.shape.id}/${logged?.needsBefore}`;
  const name = `bulk ${kind}|${selection.id}|${props.map((prop) => prop.name).join()}|${told}|${isVersioned}|${filter}`;
  request.beginCommit();
  try {
    const rows = await runWrite(unitOfWork, `bulk_${kind}`, name, (em, schema) => bulkSql(em, schema, shape), [
      ...head,
      text,
      ...values,
      waitOf(request),
    ]);
    if (rows.length === items.length) return rows;
  } catch (error) {
    // The way through entities finds out which of the rows the database refuses.
    if (!refusedRow.test(String(Reflect.get(Object(error), 'code')))) throw error;
  }
  request.takeBackCommit();
  return undefined;
}

function unlessUnwritable(work: () => string): string | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown === unwritable) return undefined;
    throw thrown;
  }
}
