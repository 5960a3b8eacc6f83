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

/** The actions of `ObserveInstance`. */
export interface ObserveInstanceActions<On> {
  /**
   * Subscribes to one row: after its reply, changes of the row become events with this request's id.
   *
   * ```json
   * {"action": "subscribe_instance", "request_id": 4, "pk": 1}
   * {"errors": [], "data": null, "action": "subscribe_instance", "response_status": 201, "request_id": 4}
   * {"errors": [], "data": {"id": 1, "name": "new"}, "action": "update", "response_status": 200, "request_id": 4}
   * ```
   *
   * If the row leaves the consumer's query, or a permission begins to refuse it, the client gets one delete; if it comes back, a create.
   * The data are what `retrieve` would show this client now: the columns of the commit, unless the row has to be read again for its query,
   * a permission on objects, its serializer or an overridden `retrieve`.
   */
  subscribeInstance(object: Model<On>, context: ActionContext): Promise<void>;
  /**
   * Ends the subscription of `subscribe_instance` with the same request id; without a request id, all subscriptions of this connection to
   * the row. Answers 204, also if there is no subscription or no row. With a request id, `pk` may be left out.
   */
  unsubscribeInstance(kwargs: InstanceKey<KeyOf<Model<On>>>, context: ActionContext): Promise<void>;
  /** The observer behind the subscriptions. An override may change an event, or send none. */
  onInstance(event: Event<On>, subscription: Subscription<InstanceKey<KeyOf<Model<On>>>>): Promise<void>;
}

export interface ObserveInstanceTypes extends MixinTypes {
  readonly actions: ObserveInstanceActions<this['on']>;
}

type AnyEvent = SentEvent & { readonly [eventTypes]: object };

/** A schema that passes any value as the key; if it has to be a row's key, toPrimaryKey checks it. */
const keyKwargs = ownSchema<InstanceKey>(
  (value) => ({ value: { pk: (value as Partial<InstanceKey>).pk } }),
  ({ model }) => objectSchema({ pk: model?.key ?? {} }, []),
);

export interface ObserveInstance extends Mixin<ObserveInstanceTypes> {}

/** Mixin: `subscribe_instance` and `unsubscribe_instance`, as in DCRF's ObserverModelInstanceMixin. */
export const ObserveInstance: ObserveInstance = (base) => {
  abstract class Observing extends base {
    @DetailAction({ status: Status.created })
    async subscribeInstance(object: object, context: ActionContext): Promise<void> {
      // The database assigns the key of a row of this transaction.
      if (!helper(object).hasPrimaryKey()) await this.unitOfWork.em.flush();
      await this.subscribe(this.onInstance, { pk: primaryKeyOf(object) }, context);
    }

    @Action({ status: Status.noContent, kwargs: keyKwargs })
    async unsubscribeInstance({ pk }: InstanceKey, context: ActionContext): Promise<void> {
      const meta = this.unitOfWork.em.getMetadata(modelOf(this)) as EntityMetadata;
      const hasId = context.requestId !== null;
      // Clients may name rows by another column than their key.
      const key = pk === undefined && hasId ? undefined : toPrimaryKey(meta, pk);
      if (key === undefined && (pk !== undefined || !hasId)) throw new NotFound();
      // The request id names the subscription, with all its rows, as in DCRF (S276).
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
