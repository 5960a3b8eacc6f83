import { type EntityMetadata, helper } from '@mikro-orm/core';
import { Action, DetailAction } from '../decorators/action.js';
import { GroupsForConsumer, GroupsForSignal } from '../decorators/observer.js';
import { replyShapes } from '../dispatch/actions.js';
import { NotFound } from '../errors.js';
import { objectSchema } from '../kwargs/json-schema.js';
import { ownSchema } from '../kwargs/own-schema.js';
import type { eventTypes, ModelEvent, SentEvent, Subscription } from '../observers/model-event.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import { primaryKeyOf } from '../orm/row.js';
import { ActionContext } from '../scope/action-context.js';
import { toPrimaryKey } from '../serializers/model-key.js';
import type { KeyOf } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { Status } from '../status.js';
import { encodeData } from '../wire/codec.js';
import type { Mixin, MixinTypes } from './mix.js';
import { modelOf, settingsOf } from './model-consumer.js';
import { visibilityOf } from './model-visibility.js';

/** The kwargs of `subscribe_instance`. */
export interface InstanceKey<Key = unknown> {
  /** The key of the row. */
  readonly pk: Key;
}

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Event<On> = On extends { readonly serializer: infer S extends SerializerClass } ? ModelEvent<S> : never;

/** What `ObserveInstance` adds to a consumer. */
export interface ObserveInstanceActions<On> {
  /**
   * Changes of one row become events with this request's id, beginning after its reply.
   *
   * ```json
   * {"action": "subscribe_instance", "request_id": 4, "pk": 1}
   * {"errors": [], "data": null, "action": "subscribe_instance", "response_status": 201, "request_id": 4}
   * {"errors": [], "data": {"id": 1, "name": "new"}, "action": "update", "response_status": 200, "request_id": 4}
   * ```
   *
   * A row that leaves those of the consumer's query, or that a permission refuses from now on, is sent as one delete; one
   * that comes back, as a create. The data are what `retrieve` would show to this client now: the columns of the commit, unless the row
   * has to be read again for its query, a permission for objects, its serializer or an overridden `retrieve`.
   */
  subscribeInstance(object: Model<On>, context: ActionContext): Promise<void>;
  /**
   * Ends what `subscribe_instance` began with the same request id; without one, all of this connection's subscriptions of
   * the row. 204, also where there is nothing to end or the row is gone. With a request id, `pk` may be left out.
   */
  unsubscribeInstance(kwargs: InstanceKey<KeyOf<Model<On>>>, context: ActionContext): Promise<void>;
  /** The observer behind the subscriptions. An override may change an event, or send none. */
  onInstance(event: Event<On>, subscription: Subscription<InstanceKey<KeyOf<Model<On>>>>): Promise<void>;
}

export interface ObserveInstanceTypes extends MixinTypes {
  readonly actions: ObserveInstanceActions<this['on']>;
}

type AnyEvent = SentEvent & { readonly [eventTypes]: object };

/** The object of a key; where it has to be a row's, toPrimaryKey says. */
const keyKwargs = ownSchema<InstanceKey>(
  (value) => ({ value: { pk: (value as Partial<InstanceKey>).pk } }),
  ({ model }) => objectSchema({ pk: model?.key ?? {} }, []),
);

export interface ObserveInstance extends Mixin<ObserveInstanceTypes> {}

/** `subscribe_instance` and `unsubscribe_instance`, as DCRF's ObserverModelInstanceMixin has them. */
export const ObserveInstance: ObserveInstance = (base) => {
  abstract class Observing extends base {
    @DetailAction({ status: Status.created })
    async subscribeInstance(object: object, context: ActionContext): Promise<void> {
      // A row of this transaction has its key from the database only.
      if (!helper(object).hasPrimaryKey()) await this.unitOfWork.em.flush();
      await this.subscribe(this.onInstance, { pk: primaryKeyOf(object) }, context);
    }

    @Action({ status: Status.noContent, kwargs: keyKwargs })
    async unsubscribeInstance({ pk }: InstanceKey, context: ActionContext): Promise<void> {
      const meta = this.unitOfWork.em.getMetadata(modelOf(this)) as EntityMetadata;
      const hasId = context.requestId !== null;
      // Rows may be named otherwise than by their key.
      const key = pk === undefined && hasId ? undefined : toPrimaryKey(meta, pk);
      if (key === undefined && (pk !== undefined || !hasId)) throw new NotFound();
      // The request id says which subscription, with all its rows: DCRF's S276.
      await this.unsubscribe(this.onInstance, (hasId ? {} : { pk: key }) as InstanceKey, context);
    }

    async onInstance(event: AnyEvent, subscription: Subscription<InstanceKey>): Promise<void> {
      await subscription.send(event);
    }

    @GroupsForSignal('onInstance')
    protected *groupsOfInstance(row: object): Iterable<string> {
      yield groupOf(primaryKeyOf(row));
    }

    @GroupsForConsumer('onInstance')
    protected *groupsOfKey({ pk }: InstanceKey): Iterable<string> {
      yield groupOf(pk);
    }
  }
  const { model, serializer } = settingsOf(base.prototype);
  const { onInstance } = Observing.prototype;
  const groupsByKey = { method: Observing.prototype['groupsOfInstance'], groupsOf: (key: unknown) => [groupOf(key)] };
  observerDeclarations.write(Observing.prototype, 'onInstance', {
    model: () => model,
    serializer,
    passesThrough: onInstance,
    groupsByKey,
    visibility: visibilityOf,
  });
  replyShapes.write(Observing.prototype, 'subscribeInstance', 'nothing');
  replyShapes.write(Observing.prototype, 'unsubscribeInstance', 'nothing');
  return Observing;
};

function groupOf(pk: unknown): string {
  return typeof pk === 'object' && pk !== null ? encodeData(pk) : String(pk);
}
