import type { EntityMetadata } from '@mikro-orm/core';
import { Action } from '../decorators/action.js';
import { replyShapes } from '../dispatch/actions.js';
import { ApiError, type ErrorDetail, NotFound, ValidationFailed } from '../errors.js';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { type ModelShapes, type OwnSchema, ownSchema } from '../kwargs/own-schema.js';
import type { Class } from '../metadata.js';
import { asStored } from '../orm/model-queries.js';
import { indexed, isRefusedValueOf, noteItem } from '../orm/orm-errors.js';
import { primaryKeyOf } from '../orm/row.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { clientOf, runStatement } from '../orm/statements.js';
import { lockRowsSql, unwritable, writtenKey } from '../orm/write-statements.js';
import type { Answers } from '../permissions/permission-checker.js';
import { ActionContext } from '../scope/action-context.js';
import { ofKey } from '../serializers/model-key.js';
import type { FieldInput, InputOf, KeyOf } from '../serializers/model-types.js';
import { Status } from '../status.js';
import { boundSession } from './api-consumer.js';
import type { Mixin, MixinTypes } from './mix.js';
import { type AnyModelConsumer, checkedKey, modelOf, sentKey, settingsOf } from './model-consumer.js';
import type { ModelTraits } from './model-options.js';

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Input<On> = On extends { readonly serializer: infer S } ? InputOf<S> : never;
type Traits<On> = On extends { readonly traits: infer Of extends ModelTraits } ? Of : never;
type Lookup<On> = Traits<On>['lookupField'] extends infer Field
  ? Field extends keyof Model<On>
    ? FieldInput<Model<On>[Field]>
    : KeyOf<Model<On>>
  : never;

/** One row of `bulk_patch`: the kwarg that names it, as in `patch`, and its data. */
export type BulkItem<On> = { readonly [Kwarg in Traits<On>['lookupUrlKwarg']]: Lookup<On> } & {
  readonly data: Partial<Input<On>>;
};

/** The actions of `BulkCreate`. */
export interface BulkCreateActions<On> {
  /** Creates rows, all or none. `{"action": "bulk_create", "request_id": 1, "data": [{…}, {…}]}` -> 201, `"data": [{…}, {…}]` */
  bulkCreate(kwargs: { readonly data: readonly Input<On>[] }, context: ActionContext): Promise<Model<On>[]>;
}

export interface BulkCreateTypes extends MixinTypes {
  readonly actions: BulkCreateActions<this['on']>;
}

/** The actions of `BulkPatch`. */
export interface BulkPatchActions<On> {
  /**
   * Changes some fields of several rows, all or none.
   *
   * `{"action": "bulk_patch", "request_id": 1, "data": [{"pk": 4, "data": {…}}, {"pk": 5, "data": {…}}]}` -> 200, `"data": [{…}, {…}]`
   */
  bulkPatch(kwargs: { readonly data: readonly BulkItem<On>[] }, context: ActionContext): Promise<Model<On>[]>;
}

export interface BulkPatchTypes extends MixinTypes {
  readonly actions: BulkPatchActions<this['on']>;
}

/** The actions of `BulkDelete`. */
export interface BulkDeleteActions<On> {
  /** Deletes rows, all or none. `{"action": "bulk_delete", "request_id": 1, "pks": [4, 5]}` -> 204, `"data": null` */
  bulkDelete(kwargs: { readonly pks: readonly Lookup<On>[] }, context: ActionContext): Promise<void>;
}

export interface BulkDeleteTypes extends MixinTypes {
  readonly actions: BulkDeleteActions<this['on']>;
}

type SentList = Readonly<Record<string, unknown>>;

/** A schema that passes the list unchecked: the action checks it, after the permissions were asked. */
function listKwargs(name: string, describe: (model: ModelShapes | undefined) => JsonSchema): OwnSchema<SentList> {
  return ownSchema(
    (value) => ({ value: { [name]: (value as SentList)[name] } }),
    ({ model }) => objectSchema({ [name]: { type: 'array', items: describe(model), minItems: 1 } }),
  );
}

const createdRows = listKwargs('data', (model) => model?.data(false) ?? {});
const patchedRows = listKwargs('data', (model) => {
  const { kwarg, schema } = model?.lookup ?? { kwarg: 'pk', schema: {} };
  return objectSchema({ [kwarg]: schema, data: model?.data(true) ?? {} });
});
const deletedRows = listKwargs('pks', (model) => model?.lookup.schema ?? {});

/** The methods of the mixins, for each class that has them, and the write of each. */
const bulkWrites = new WeakMap<object, BulkKind>();

export type BulkKind = 'create' | 'patch' | 'delete';

/** The write of a mixin's own method; undefined for another method. */
export function bulkWriteOf(method: object): BulkKind | undefined {
  return bulkWrites.get(method);
}

/** The first action of a consumer that is a bulk mixin's own. */
export function bulkWriteIn({ prototype }: Class): string | undefined {
  return ['bulkCreate', 'bulkPatch', 'bulkDelete'].find((name) => {
    const method: unknown = Reflect.get(prototype, name);
    return typeof method === 'function' && bulkWrites.has(method);
  });
}

export interface BulkCreate extends Mixin<BulkCreateTypes> {}

/** Mixin: the action `bulk_create`, which does with several rows what `create` does with one. */
export const BulkCreate: BulkCreate = (base) => {
  abstract class Creating extends base {
    @Action({ atomic: true, status: Status.created, kwargs: createdRows })
    async bulkCreate({ data }: SentList, context: ActionContext): Promise<object[]> {
      const items = listOf(this, 'data', data);
      const contexts = items.map((each) => itemContext(context, 'create', { data: each }));
      for (const [index, item] of contexts.entries()) await atIndex(index, () => askItem(this, context, index, item));
      const checked = await checkedItems(this, items, contexts, false);
      return writtenRows(this, checked, ({ serializer, value, item }) => this.performCreate(serializer, value, item));
    }
  }
  bulkWrites.set(Creating.prototype.bulkCreate, 'create');
  replyShapes.write(Creating.prototype, 'bulkCreate', 'several');
  return Creating;
};

export interface BulkPatch extends Mixin<BulkPatchTypes> {}

/** Mixin: the action `bulk_patch`, which does with several rows what `patch` does with one. */
export const BulkPatch: BulkPatch = (base) => {
  abstract class Patching extends base {
    @Action({ atomic: true, kwargs: patchedRows })
    async bulkPatch({ data }: SentList, context: ActionContext): Promise<object[]> {
      const items = listOf(this, 'data', data).map(asItem);
      const { lookupUrlKwarg } = settingsOf(this);
      const named = await namedRows(this, 'patch', items, context, lookupUrlKwarg);
      const contexts = named.map(({ item }) => item);
      const checked = await checkedItems(
        this,
        items.map((item) => item['data']),
        contexts,
        true,
      );
      await holdRows(this, named, 'no key update');
      return writtenRows(this, checked, ({ serializer, value, item }, index) =>
        this.performPatch(serializer, named[index]?.row as object, value, item),
      );
    }
  }
  bulkWrites.set(Patching.prototype.bulkPatch, 'patch');
  replyShapes.write(Patching.prototype, 'bulkPatch', 'several');
  return Patching;
};

export interface BulkDelete extends Mixin<BulkDeleteTypes> {}

/** Mixin: the action `bulk_delete`, which does with several rows what `delete` does with one. */
export const BulkDelete: BulkDelete = (base) => {
  abstract class Deleting extends base {
    @Action({ atomic: true, status: Status.noContent, kwargs: deletedRows })
    async bulkDelete({ pks }: SentList, context: ActionContext): Promise<void> {
      const { lookupUrlKwarg } = settingsOf(this);
      const items = listOf(this, 'pks', pks).map((pk) => ({ [lookupUrlKwarg]: pk }));
      const named = await namedRows(this, 'delete', items, context, undefined);
      await holdRows(this, named, 'update');
      for (const [index, { row, item }] of named.entries()) await atIndex(index, () => this.performDelete(row, item));
    }
  }
  bulkWrites.set(Deleting.prototype.bulkDelete, 'delete');
  replyShapes.write(Deleting.prototype, 'bulkDelete', 'nothing');
  return Deleting;
};

/** @throws ValidationFailed for a value that is no list, is empty or exceeds the consumer's `maximumBulkSize` */
export function listOf(consumer: AnyModelConsumer, name: string, sent: unknown): readonly unknown[] {
  const { maximumBulkSize } = settingsOf(consumer);
  const fail = (text: string): never => {
    throw ValidationFailed.of({ [name]: [text] });
  };
  if (sent === undefined) return fail('This field is required.');
  if (!Array.isArray(sent)) return fail('Expected a list of items.');
  if (sent.length === 0) return fail('This list may not be empty.');
  if (sent.length > maximumBulkSize) return fail(`Ensure this field has no more than ${maximumBulkSize} elements.`);
  return sent;
}

function asItem(sent: unknown, index: number): SentList {
  if (typeof sent === 'object' && sent !== null && !Array.isArray(sent)) return sent as SentList;
  throw ValidationFailed.of({ [index]: ['Invalid data. Expected an object.'] });
}

/** The context of a request for this row alone. */
export function itemContext(
  { scope, requestId, signal }: ActionContext,
  action: string,
  kwargs: SentList,
): ActionContext {
  return new ActionContext({ scope, action, requestId, kwargs, signal });
}

/** The permissions' answers on the actions for single rows, given before the transaction, by request and index. */
const askedBefore = new WeakMap<ActionContext, Map<number, Promise<Answers>>>();

/**
 * Asks the permissions of the action for one row, unless they were asked before.
 *
 * @throws the refusal of a permission
 */
function askItem(
  consumer: AnyModelConsumer,
  context: ActionContext,
  index: number,
  item: ActionContext,
): Promise<Answers> {
  return askedBefore.get(context)?.get(index) ?? askAction(consumer, item);
}

/**
 * Asks the permissions of the action for one row before a possible transaction. Their answers also count in it, unless they have used the
 * database: what they read, lock and write belongs to the transaction, in which they are asked again.
 *
 * @returns undefined if the rows have to be written through entities
 */
export async function askAhead(
  consumer: AnyModelConsumer,
  context: ActionContext,
  index: number,
  item: ActionContext,
): Promise<Answers | undefined> {
  const asked = askedBefore.get(context) ?? new Map<number, Promise<Answers>>();
  askedBefore.set(context, asked);
  const answers = askAction(consumer, item);
  asked.set(index, answers);
  const given = await answers.catch(() => undefined);
  if (!consumer['unitOfWork'].isUsed) return given;
  askedBefore.delete(context);
  return undefined;
}

/**
 * Asks the permissions of the action for one row: a client that may not `delete` may not `bulk_delete`.
 *
 * @throws the refusal of a permission
 */
async function askAction(consumer: AnyModelConsumer, item: ActionContext): Promise<Answers> {
  const answers: Answers = new Map();
  const permissions = consumer[boundSession].permissionsOf(item.action);
  if (!permissions.isOpen) await permissions.checkAction(item, answers);
  return answers;
}

interface NamedRow {
  readonly row: object;
  readonly item: ActionContext;
  /** The key in the client's form. */
  readonly key: unknown;
  /** The permissions' answers on the action. */
  readonly answers: Answers;
}

/**
 * Finds the named rows, each by the query and the permissions of the action for it alone.
 *
 * @param shownName the field of an item that names its row; undefined if the item is the name itself
 * @throws the error of that action, with the index of the row; ValidationFailed for a row that is named twice
 */
async function namedRows(
  consumer: AnyModelConsumer,
  action: string,
  items: readonly SentList[],
  context: ActionContext,
  shownName: string | undefined,
): Promise<readonly NamedRow[]> {
  const { lookupUrlKwarg } = settingsOf(consumer);
  const meta = consumer['unitOfWork'].em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const found = new Set<object>();
  const named: NamedRow[] = [];
  for (const [index, sent] of items.entries()) {
    const one = await atIndex(index, async () => {
      const checked = checkedKey(consumer, meta, sent[lookupUrlKwarg]);
      const item = itemContext(context, action, { ...sent, [lookupUrlKwarg]: checked });
      const key = sentKey(consumer, meta, checked);
      const answers = await askItem(consumer, context, index, item);
      return { item, key, answers, row: await permittedRow(consumer, key, item, answers) };
    });
    const field = shownName === undefined ? `${index}` : `${index}.${shownName}`;
    if (found.has(one.row)) throw ValidationFailed.of({ [field]: ['This row occurs twice.'] });
    found.add(one.row);
    named.push(one);
  }
  return named;
}

/** @throws NotFound, or the refusal of a permission */
async function permittedRow(
  consumer: AnyModelConsumer,
  key: unknown,
  item: ActionContext,
  answers: Answers,
): Promise<object> {
  const row: object = await consumer['getObject'](key, item);
  const permissions = consumer[boundSession].permissionsOf(item.action);
  if (!permissions.isOpen) await permissions.checkObject(item, row, new Map(answers));
  return row;
}

/**
 * Locks the rows, then finds and judges them again, because other transactions may have changed them.
 *
 * @throws as `namedRows` does
 */
async function holdRows(
  consumer: AnyModelConsumer,
  named: readonly NamedRow[],
  lock: 'update' | 'no key update',
): Promise<void> {
  await lockInOrder(consumer, named, lock);
  const { em } = consumer['unitOfWork'];
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const where = { $or: named.map(({ row }) => ofKey(meta, primaryKeyOf(row))) };
  await em.find(modelOf(consumer), where as never, { ...asStored, refresh: true, filters: false });
  for (const [index, { row, key, item, answers }] of named.entries())
    await atIndex(index, async () => {
      // The sent name may belong to another row by now.
      if ((await permittedRow(consumer, key, item, answers)) !== row) throw new NotFound();
    });
}

/**
 * Checks all items, so that the client gets all errors at once.
 *
 * @throws ValidationFailed
 */
async function checkedItems(
  consumer: AnyModelConsumer,
  data: readonly unknown[],
  contexts: readonly ActionContext[],
  partial: boolean,
) {
  const details: ErrorDetail[] = [];
  const checked = [];
  for (const [index, item] of contexts.entries()) {
    const serializer = consumer['writingSerializer'](item);
    try {
      const value = await serializer.validate(data[index], consumer['getSerializerContext'](item), { partial });
      checked.push({ serializer, value, item });
    } catch (error) {
      if (!(error instanceof ValidationFailed)) throw error;
      details.push(...error.errors.map((detail) => indexed(index, detail)));
    }
  }
  if (details.length > 0) throw ValidationFailed.of(Object.assign({}, ...details.map(asFields)));
  return checked;
}

function asFields(detail: ErrorDetail): Readonly<Record<string, readonly string[]>> {
  return typeof detail === 'string' ? { non_field_errors: [detail] } : detail;
}

/** @throws the error of the work; if it is the client's, with the index of its item */
async function atIndex<T>(index: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw Object.create(error, {
      errors: { value: error.errors.map((detail) => indexed(index, detail)), enumerable: true },
    });
  }
}

/**
 * Writes row after row, and flushes them together. If another row already has a unique value, the error has the index of the row that was
 * to get it.
 *
 * @throws as `atIndex` does
 */
async function writtenRows<Item>(
  consumer: AnyModelConsumer,
  items: readonly Item[],
  write: (item: Item, index: number) => Promise<object>,
): Promise<object[]> {
  const { em } = consumer['unitOfWork'];
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const rows: object[] = [];
  try {
    for (const [index, item] of items.entries()) rows.push(await atIndex(index, () => write(item, index)));
    await consumer['unitOfWork'].flush();
    return rows;
  } catch (error) {
    const found = rows.findLastIndex((row) => isRefusedValueOf(row, meta, error));
    // An override that flushes its own row fails before it returns the row.
    const index = found >= 0 ? found : rows.length;
    if (index < items.length) noteItem(error, index);
    throw error;
  }
}

/** Locks rows in the order of their keys: requests that name the same rows wait for each other, and none ends in a deadlock. */
async function lockInOrder(
  consumer: AnyModelConsumer,
  named: readonly NamedRow[],
  lock: 'update' | 'no key update',
): Promise<void> {
  const { reader } = consumer['unitOfWork'];
  const { em, transaction, schema } = reader;
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const platform = em.getDriver().getPlatform();
  try {
    const keys = named.map(({ row }) => writtenKey(meta, ofKey(meta, primaryKeyOf(row)), platform));
    const connection = (transaction ?? clientOf(em)) as StatementConnection;
    await runStatement(connection, { text: lockRowsSql(em, schema, meta, keys.length, lock) }, keys.flat());
  } catch (thrown) {
    if (thrown !== unwritable) throw em.getDriver().convertException(thrown as Error);
  }
}
