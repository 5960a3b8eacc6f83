import { Action, DetailAction } from '../decorators/action.js';
import { replyShapes } from '../dispatch/actions.js';
import { objectSchema } from '../kwargs/json-schema.js';
import { type OwnSchema, ownSchema } from '../kwargs/own-schema.js';
import type { Class } from '../metadata.js';
import { ActionContext } from '../scope/action-context.js';
import type { InputOf } from '../serializers/model-types.js';
import { Status } from '../status.js';
import type { Mixin, MixinTypes } from './mix.js';

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Input<On> = On extends { readonly serializer: infer S } ? InputOf<S> : never;

interface DataKwargs {
  readonly data?: unknown;
}

/** Lets `data` through as it is, and nothing else; the serializer is what checks it. */
function dataKwargs(isPartial: boolean): OwnSchema<DataKwargs> {
  return ownSchema(
    (value) => ({ value: { data: (value as DataKwargs).data } }),
    ({ model }) => objectSchema({ data: model?.data(isPartial) ?? {} }),
  );
}

const wholeRow = dataKwargs(false);
const partOfRow = dataKwargs(true);

/** What `Retrieve` adds to a consumer. */
export interface RetrieveActions<On> {
  /** One row. `{"action": "retrieve", "request_id": 1, "pk": 4}` -> 200, `"data": {…}` */
  retrieve(object: Model<On>, context: ActionContext): Promise<Model<On>>;
}

export interface RetrieveTypes extends MixinTypes {
  readonly actions: RetrieveActions<this['on']>;
}

/** What `Create` adds to a consumer. */
export interface CreateActions<On> {
  /** A new row. `{"action": "create", "request_id": 1, "data": {…}}` -> 201, `"data": {…}` */
  create(kwargs: { readonly data: Input<On> }, context: ActionContext): Promise<Model<On>>;
}

export interface CreateTypes extends MixinTypes {
  readonly actions: CreateActions<this['on']>;
}

/** What `Update` adds to a consumer. */
export interface UpdateActions<On> {
  /** All required fields anew. `{"action": "update", "request_id": 1, "pk": 4, "data": {…}}` -> 200, `"data": {…}` */
  update(object: Model<On>, kwargs: { readonly data: Input<On> }, context: ActionContext): Promise<Model<On>>;
}

export interface UpdateTypes extends MixinTypes {
  readonly actions: UpdateActions<this['on']>;
}

/** What `Patch` adds to a consumer. */
export interface PatchActions<On> {
  /** Some fields anew. `{"action": "patch", "request_id": 1, "pk": 4, "data": {…}}` -> 200, `"data": {…}` */
  patch(object: Model<On>, kwargs: { readonly data: Partial<Input<On>> }, context: ActionContext): Promise<Model<On>>;
}

export interface PatchTypes extends MixinTypes {
  readonly actions: PatchActions<this['on']>;
}

/** What `Delete` adds to a consumer. */
export interface DeleteActions<On> {
  /** `{"action": "delete", "request_id": 1, "pk": 4}` -> 204, `"data": null` */
  delete(object: Model<On>, context: ActionContext): Promise<void>;
}

export interface DeleteTypes extends MixinTypes {
  readonly actions: DeleteActions<this['on']>;
}

export interface Retrieve extends Mixin<RetrieveTypes> {}

/** The methods of the mixin, one for each class that has it. */
const plainRetrieves = new WeakSet<object>();

/** Whether `retrieve` is the mixin's own, which shows the row as it is. */
export function isPlainRetrieve(method: object): boolean {
  return plainRetrieves.has(method);
}

/**
 * Mixin: the action `retrieve`. 404 where the row is not among those of the consumer's query, or a permission refuses it.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {}
 * ```
 *
 * ```json
 * {"action": "retrieve", "request_id": 1, "pk": 4}
 * {"errors": [], "data": {"id": 4, "name": "red"}, "action": "retrieve", "response_status": 200, "request_id": 1}
 * ```
 */
export const Retrieve: Retrieve = (base) => {
  abstract class Retrieving extends base {
    @DetailAction()
    async retrieve(object: object, _context: ActionContext): Promise<object> {
      return object;
    }
  }
  plainRetrieves.add(Retrieving.prototype.retrieve);
  replyShapes.write(Retrieving.prototype, 'retrieve', 'row');
  return Retrieving;
};

export type WriteKind = 'create' | 'update' | 'patch' | 'delete';

/** The methods of the mixins that write, one for each class that has them. */
const plainWrites = new WeakMap<object, WriteKind>();

/** The first action of a consumer that writes rows and is the mixin's own. */
export function plainWriteIn({ prototype }: Class): WriteKind | undefined {
  const methods: readonly unknown[] = ['create', 'update', 'patch', 'delete'].map((name) =>
    Reflect.get(prototype, name),
  );
  const own = methods.find((method) => typeof method === 'function' && plainWrites.has(method));
  return own === undefined ? undefined : plainWriteOf(own as object);
}

/** What a method writes, where it is the mixin's own; undefined for another one. */
export function plainWriteOf(method: object): WriteKind | undefined {
  return plainWrites.get(method);
}

export interface Create extends Mixin<CreateTypes> {}

/**
 * Mixin: the action `create`, in a transaction. Override `performCreate` to set what the client may not.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Create) {}
 * ```
 *
 * ```json
 * {"action": "create", "request_id": 1, "data": {"name": "red"}}
 * {"errors": [], "data": {"id": 4, "name": "red"}, "action": "create", "response_status": 201, "request_id": 1}
 * ```
 */
export const Create: Create = (base) => {
  abstract class Creating extends base {
    @Action({ atomic: true, status: Status.created, kwargs: wholeRow })
    async create({ data }: DataKwargs, context: ActionContext): Promise<object> {
      const serializer = this.writingSerializer(context);
      const checked = await serializer.validate(data, this.getSerializerContext(context));
      return this.performCreate(serializer, checked, context);
    }
  }
  plainWrites.set(Creating.prototype.create, 'create');
  replyShapes.write(Creating.prototype, 'create', 'row');
  return Creating;
};

export interface Update extends Mixin<UpdateTypes> {}

/**
 * Mixin: the action `update`, in a transaction. `data` has all required fields; `patch` takes some. Override `performUpdate` to set
 * what the client may not.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Update) {}
 * ```
 *
 * ```json
 * {"action": "update", "request_id": 1, "pk": 4, "data": {"name": "blue"}}
 * {"errors": [], "data": {"id": 4, "name": "blue"}, "action": "update", "response_status": 200, "request_id": 1}
 * ```
 */
export const Update: Update = (base) => {
  abstract class Updating extends base {
    @DetailAction({ atomic: true, kwargs: wholeRow })
    async update(object: object, { data }: DataKwargs, context: ActionContext): Promise<object> {
      const serializer = this.writingSerializer(context);
      const checked = await serializer.validate(data, this.getSerializerContext(context));
      return this.performUpdate(serializer, object, checked, context);
    }
  }
  plainWrites.set(Updating.prototype.update, 'update');
  replyShapes.write(Updating.prototype, 'update', 'row');
  return Updating;
};

export interface Patch extends Mixin<PatchTypes> {}

/**
 * Mixin: the action `patch`, in a transaction. Fields that `data` does not have stay as they are. Override `performPatch` to set
 * what the client may not.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Patch) {}
 * ```
 *
 * ```json
 * {"action": "patch", "request_id": 1, "pk": 4, "data": {"name": "blue"}}
 * {"errors": [], "data": {"id": 4, "name": "blue"}, "action": "patch", "response_status": 200, "request_id": 1}
 * ```
 */
export const Patch: Patch = (base) => {
  abstract class Patching extends base {
    @DetailAction({ atomic: true, kwargs: partOfRow })
    async patch(object: object, { data }: DataKwargs, context: ActionContext): Promise<object> {
      const serializer = this.writingSerializer(context);
      const checked = await serializer.validate(data, this.getSerializerContext(context), { partial: true });
      return this.performPatch(serializer, object, checked, context);
    }
  }
  plainWrites.set(Patching.prototype.patch, 'patch');
  replyShapes.write(Patching.prototype, 'patch', 'row');
  return Patching;
};

export interface Delete extends Mixin<DeleteTypes> {}

/**
 * Mixin: the action `delete`, in a transaction. Override `performDelete` to do something else, such as marking the row.
 *
 * ```ts
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Delete) {}
 * ```
 *
 * ```json
 * {"action": "delete", "request_id": 1, "pk": 4}
 * {"errors": [], "data": null, "action": "delete", "response_status": 204, "request_id": 1}
 * ```
 */
export const Delete: Delete = (base) => {
  abstract class Deleting extends base {
    @DetailAction({ atomic: true, status: Status.noContent })
    async delete(object: object, context: ActionContext): Promise<void> {
      await this.performDelete(object, context);
    }
  }
  plainWrites.set(Deleting.prototype.delete, 'delete');
  replyShapes.write(Deleting.prototype, 'delete', 'nothing');
  return Deleting;
};
