import { Action, DetailAction } from '../decorators/action.js';
import { replyShapes } from '../dispatch/action-declaration.js';
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

export interface RetrieveActions<On> {
  /** One row. `{"action": "retrieve", "request_id": 1, "pk": 4}` -> 200, `"data": {…}` */
  retrieve(object: Model<On>, context: ActionContext): Promise<Model<On>>;
}

export interface RetrieveTypes extends MixinTypes {
  readonly actions: RetrieveActions<this['on']>;
}

export interface CreateActions<On> {
  /** A new row. `{"action": "create", "request_id": 1, "data": {…}}` -> 201, `"data": {…}` */
  create(kwargs: { readonly data: Input<On> }, context: ActionContext): Promise<Model<On>>;
}

export interface CreateTypes extends MixinTypes {
  readonly actions: CreateActions<this['on']>;
}

export interface UpdateActions<On> {
  /** All required fields anew. `{"action": "update", "request_id": 1, "pk": 4, "data": {…}}` -> 200, `"data": {…}` */
  update(object: Model<On>, kwargs: { readonly data: Input<On> }, context: ActionContext): Promise<Model<On>>;
}

export interface UpdateTypes extends MixinTypes {
  readonly actions: UpdateActions<this['on']>;
}

export interface PatchActions<On> {
  /** Some fields anew. `{"action": "patch", "request_id": 1, "pk": 4, "data": {…}}` -> 200, `"data": {…}` */
  patch(object: Model<On>, kwargs: { readonly data: Partial<Input<On>> }, context: ActionContext): Promise<Model<On>>;
}

export interface PatchTypes extends MixinTypes {
  readonly actions: PatchActions<this['on']>;
}

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

/** The action `retrieve`: one row by its `pk`, as the serializer shows it; 404 where this client may not see it. */
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

/** The action `create`: `data` makes a row, in a transaction; 201 and the row as the serializer shows it. */
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

/** The action `update`: `data` has every field that is required, and replaces the row of `pk`, in a transaction. */
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

/** The action `patch`: `data` has the fields of the row of `pk` that change, in a transaction. */
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

/** The action `delete`: removes the row of `pk`, in a transaction; 204. */
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
