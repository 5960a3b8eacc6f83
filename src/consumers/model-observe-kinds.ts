import type { EntityMetadata } from '@mikro-orm/core';
import { Action } from '../decorators/action.js';
import { GroupsForConsumer, GroupsForSignal } from '../decorators/observer.js';
import { declareAction, replyShapes } from '../dispatch/actions.js';
import { NotFound, ParseError, ValidationFailed } from '../errors.js';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { ownSchema } from '../kwargs/own-schema.js';
import type { EventAction, eventTypes, ModelEvent, SentEvent, Subscription } from '../observers/model-event.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import { primaryKeyOf } from '../orm/row.js';
import { ActionContext } from '../scope/action-context.js';
import { toPrimaryKey } from '../serializers/model-key.js';
import type { KeyOf } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { Status } from '../status.js';
import { encodeData } from '../wire/codec.js';
import { boundSession } from './api-consumer.js';
import type { Mixin, MixinTypes } from './mix.js';
import { type AnyModelConsumer, modelOf, settingsOf } from './model-consumer.js';
import { visibilityOfRows } from './model-visibility.js';

/** Which events a client asks for: those of one kind, of all rows or of one. */
export interface KindKwargs<Key = unknown, Kind extends EventAction = EventAction> {
  /** `create`, `update` or `delete`. */
  readonly data: { readonly action: Kind };
  /** Without one, of all rows that the client may see. Not with `create`: the row has no key yet. */
  readonly pk?: Key;
}

/** The row of a subscription; all rows without a key. */
export interface KindKey<Key = unknown> {
  /** The key of the row; absent where the subscription is for all rows. */
  readonly pk?: Key;
}

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Key<On> = KeyOf<Model<On>>;
type Event<On, Kind extends EventAction> = On extends { readonly serializer: infer S extends SerializerClass }
  ? Extract<ModelEvent<S>, { readonly action: Kind }> | OfKind<ModelEvent<S>, Kind>
  : never;
type OfKind<Of, Kind extends EventAction> = Of extends { readonly action: infer Action }
  ? Kind extends Action
    ? Of & { readonly action: Kind }
    : never
  : never;

/** What `ObserveKinds` adds to a consumer. */
export interface ObserveKindsActions<On> {
  /**
   * Events of one kind: of one row, where a `pk` names it, or of all that the client may see.
   *
   * ```json
   * {"action": "subscribe", "request_id": 4, "data": {"action": "update"}}
   * {"errors": [], "data": {"action": "update"}, "action": "subscribe", "response_status": 200, "request_id": 4}
   * {"errors": [], "data": {"id": 1, "name": "new"}, "action": "update", "response_status": 200, "request_id": 4}
   * ```
   *
   * A row that comes into the client's sight is a create, and one that leaves it a delete. Typed clients call it `subscribeKind`.
   */
  subscribeKind<Kind extends EventAction>(
    kwargs: KindKwargs<Key<On>, Kind>,
    context: ActionContext,
  ): Promise<{ readonly action: Kind }>;
  /**
   * Ends what `subscribe` began with the same request id, kind and `pk`; without a `pk`, all of the kind. Without a request id, what all
   * subscriptions of this connection have of them. 204, also where there is nothing to end.
   */
  unsubscribeKind(kwargs: KindKwargs<Key<On>>, context: ActionContext): Promise<void>;
  /** The observer behind the subscriptions of `create`. An override may change an event, or send none. */
  onCreated(event: Event<On, 'create'>, subscription: Subscription<KindKey<Key<On>>>): Promise<void>;
  /** The observer behind the subscriptions of `update`. An override may change an event, or send none. */
  onUpdated(event: Event<On, 'update'>, subscription: Subscription<KindKey<Key<On>>>): Promise<void>;
  /** The observer behind the subscriptions of `delete`. An override may send no event. */
  onDeleted(event: Event<On, 'delete'>, subscription: Subscription<KindKey<Key<On>>>): Promise<void>;
}

export interface ObserveKindsTypes extends MixinTypes {
  readonly actions: ObserveKindsActions<this['on']>;
}

type AnyEvent = SentEvent & { readonly [eventTypes]: object };
type SentKind = { readonly data?: unknown; readonly pk?: unknown };

const kinds: readonly EventAction[] = ['create', 'update', 'delete'];

/** What the kind is, the action finds out: permissions are asked first. */
const kindKwargs = ownSchema<SentKind>(
  (value) => ({ value: pickKind(value as SentKind) }),
  ({ model }) => {
    const kind: JsonSchema = objectSchema({ action: { enum: kinds } });
    return objectSchema({ data: kind, pk: model?.key ?? {} }, ['data']);
  },
);

function pickKind({ data, pk }: SentKind): SentKind {
  return { ...(data !== undefined && { data }), ...(pk !== undefined && { pk }) };
}

export interface ObserveKinds extends Mixin<ObserveKindsTypes> {}

/** Subscriptions by kind of event, as channels-api has them: `subscribe` and `unsubscribe`. */
export const ObserveKinds: ObserveKinds = (base) => {
  abstract class Observing extends base {
    @Action({ name: 'subscribe', kwargs: kindKwargs })
    async subscribeKind(sent: SentKind, context: ActionContext): Promise<{ readonly action: EventAction }> {
      const action = kindOf(sent);
      const key = await followedKey(this, action, sent, context);
      if (action === 'create') await this.subscribe(this.onCreated, key, context);
      else if (action === 'update') await this.subscribe(this.onUpdated, key, context);
      else await this.subscribe(this.onDeleted, key, context);
      return { action };
    }

    async unsubscribeKind(sent: SentKind, context: ActionContext): Promise<void> {
      const action = kindOf(sent);
      const key = keyOf(this, sent);
      if (action === 'create') await this.unsubscribe(this.onCreated, key, context);
      else if (action === 'update') await this.unsubscribe(this.onUpdated, key, context);
      else await this.unsubscribe(this.onDeleted, key, context);
    }

    async onCreated(event: AnyEvent, subscription: Subscription<KindKey>): Promise<void> {
      await subscription.send(event);
    }

    async onUpdated(event: AnyEvent, subscription: Subscription<KindKey>): Promise<void> {
      await subscription.send(event);
    }

    async onDeleted(event: AnyEvent, subscription: Subscription<KindKey>): Promise<void> {
      await subscription.send(event);
    }

    @GroupsForSignal('onCreated')
    protected *groupsOfCreated(row: object): Iterable<string> {
      yield* groupsOf(primaryKeyOf(row));
    }

    @GroupsForSignal('onUpdated')
    protected *groupsOfUpdated(row: object): Iterable<string> {
      yield* groupsOf(primaryKeyOf(row));
    }

    @GroupsForSignal('onDeleted')
    protected *groupsOfDeleted(row: object): Iterable<string> {
      yield* groupsOf(primaryKeyOf(row));
    }

    @GroupsForConsumer('onCreated')
    protected *groupsForCreated({ pk }: KindKey): Iterable<string> {
      yield groupOf(pk);
    }

    @GroupsForConsumer('onUpdated')
    protected *groupsForUpdated({ pk }: KindKey): Iterable<string> {
      yield groupOf(pk);
    }

    @GroupsForConsumer('onDeleted')
    protected *groupsForDeleted({ pk }: KindKey): Iterable<string> {
      yield groupOf(pk);
    }
  }
  const { model, serializer } = settingsOf(base.prototype);
  const { prototype } = Observing;
  declareAction(prototype, 'unsubscribeKind', {
    name: 'unsubscribe',
    besideTarget: true,
    isDetail: false,
    status: Status.noContent,
    kwargs: kindKwargs,
  });
  const observers = [
    { member: 'onCreated', only: 'create', method: prototype['groupsOfCreated'] },
    { member: 'onUpdated', only: 'update', method: prototype['groupsOfUpdated'] },
    { member: 'onDeleted', only: 'delete', method: prototype['groupsOfDeleted'] },
  ] as const;
  for (const { member, only, method } of observers)
    observerDeclarations.write(prototype, member, {
      model: () => model,
      serializer,
      only,
      groupsByKey: { method, groupsOf },
      needsBefore: true,
      visibility: visibilityOfRows,
    });
  replyShapes.write(prototype, 'subscribeKind', 'kind');
  replyShapes.write(prototype, 'unsubscribeKind', 'nothing');
  return Observing;
};

/** @throws ParseError without a kind, with the text of channels-api; ValidationFailed for one that is none */
function kindOf({ data }: SentKind): EventAction {
  const action: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'action') : undefined;
  if (action === undefined || action === null) throw new ParseError('action required');
  const kind = kinds.find((each) => each === action);
  if (kind) return kind;
  throw ValidationFailed.of({ 'data.action': [`${JSON.stringify(action)} is not a valid choice.`] });
}

/**
 * What is subscribed to. A row that is named is one that the client may see now.
 *
 * @throws ValidationFailed for the key of a row that is yet to be created; NotFound
 */
async function followedKey(
  consumer: AnyModelConsumer,
  action: EventAction,
  { pk }: SentKind,
  context: ActionContext,
): Promise<KindKey> {
  if (pk === undefined) return {};
  if (action === 'create') {
    const { lookupUrlKwarg } = settingsOf(consumer);
    throw ValidationFailed.of({ [lookupUrlKwarg]: ['A row that is yet to be created has no key.'] });
  }
  const row: object = await consumer['getObject'](pk, context);
  const permissions = consumer[boundSession].permissionsOf(context.action);
  if (!permissions.isOpen) await permissions.checkObject(context, row);
  return { pk: primaryKeyOf(row) };
}

/** @throws NotFound where no row can have the key */
function keyOf(consumer: AnyModelConsumer, { pk }: SentKind): KindKey {
  if (pk === undefined) return {};
  const key = toPrimaryKey(consumer['unitOfWork'].em.getMetadata(modelOf(consumer)) as EntityMetadata, pk);
  if (key === undefined) throw new NotFound();
  return { pk: key };
}

const everyRow = 'all';

/** Of a row, whatever happens to it. */
function groupsOf(pk: unknown): readonly string[] {
  return [everyRow, groupOf(pk)];
}

function groupOf(pk: unknown): string {
  if (pk === undefined) return everyRow;
  return `row ${typeof pk === 'object' && pk !== null ? encodeData(pk) : String(pk)}`;
}
