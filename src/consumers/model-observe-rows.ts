import type { EntityMetadata } from '@mikro-orm/core';
import { Action } from '../decorators/action.js';
import { GroupsForConsumer } from '../decorators/observer.js';
import { replyShapes } from '../dispatch/actions.js';
import { ConfigurationError } from '../errors.js';
import type { FilterKwargsOf } from '../filters/filter-types.js';
import { type AnyFilterOptions, filtersOf, operatorsOf } from '../filters/model-filters.js';
import { type RowTest, rowTest } from '../filters/model-row-filter.js';
import { objectSchema } from '../kwargs/json-schema.js';
import { ownSchema } from '../kwargs/own-schema.js';
import type { Class } from '../metadata.js';
import type { eventTypes, ModelEvent, SentEvent, Subscription } from '../observers/model-event.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import type { LoggedRow } from '../orm/unit-of-work.js';
import { ActionContext } from '../scope/action-context.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { Status } from '../status.js';
import { encodeData } from '../wire/codec.js';
import type { Mixin, MixinTypes } from './mix.js';
import { modelOf, settingsOf } from './model-consumer.js';
import type { ModelTraits } from './model-options.js';
import { visibilityOfRows } from './model-visibility.js';

type Model<On> = On extends { readonly model: infer Entity } ? Entity : never;
type Event<On> = On extends { readonly serializer: infer S extends SerializerClass } ? ModelEvent<S> : never;

/** The declared fields that the row itself holds. */
type FollowedFields<On> = On extends { readonly model: infer Entity; readonly traits: infer Of extends ModelTraits }
  ? {
      readonly [Name in keyof Of['filters']['fields'] as Name extends keyof Entity
        ? Entity[Name] extends { readonly length: number; getItems(): unknown }
          ? never
          : Name
        : never]: Of['filters']['fields'][Name];
    }
  : never;

/** What rows a client follows. */
export type RowsKwargs<On> = FilterKwargsOf<
  Model<On>,
  { readonly fields: FollowedFields<On>; readonly ordering: never; readonly search: never; readonly kwargs: unknown }
>;

/** What `ObserveRows` adds to a consumer. */
export interface ObserveRowsActions<On> {
  /**
   * The rows that a filter lets through, live: one that begins to match is a create, one that stops is a delete. The filter is that of
   * `list`, by the declared fields that the row itself holds; without one, all rows that the client may see.
   *
   * ```json
   * {"action": "subscribe_rows", "request_id": 4, "filter": {"archived": false}}
   * {"errors": [], "data": null, "action": "subscribe_rows", "response_status": 201, "request_id": 4}
   * {"errors": [], "data": {"pk": 1}, "action": "delete", "response_status": 204, "request_id": 4}
   * ```
   */
  subscribeRows(kwargs: RowsKwargs<On>, context: ActionContext): Promise<void>;
  /**
   * Ends what `subscribe_rows` began with the same request id and filter; without a filter, all of the request id. Without a request id, what all
   * subscriptions of this connection have of the filter. 204, also where there is nothing to end.
   */
  unsubscribeRows(kwargs: RowsKwargs<On>, context: ActionContext): Promise<void>;
  /** The observer behind the subscriptions. An override may change an event, or send none. */
  onRow(event: Event<On>, subscription: Subscription<RowsKwargs<On>>): Promise<void>;
}

export interface ObserveRowsTypes extends MixinTypes {
  readonly actions: ObserveRowsActions<this['on']>;
}

type AnyEvent = SentEvent & { readonly [eventTypes]: object };
type SentFilter = { readonly filter?: unknown };

/** What the filter may say, the action finds out: permissions are asked first. */
const rowsKwargs = ownSchema<SentFilter>(
  (value) => {
    const { filter } = value as SentFilter;
    return { value: filter === undefined ? {} : { filter } };
  },
  ({ model }) => objectSchema({ filter: model?.followed ?? {} }, []),
);

const following = new WeakSet<Class>();

/** Whether clients follow the rows of a consumer by its filters. */
export function followsRows(consumer: Class): boolean {
  for (let at: Class | null = consumer; at; at = Object.getPrototypeOf(at)) if (following.has(at)) return true;
  return false;
}

export interface ObserveRows extends Mixin<ObserveRowsTypes> {}

/** `subscribe_rows` and `unsubscribe_rows`: subscriptions by the declared filters, as django-realtime-api has them by lookups, and live. */
export const ObserveRows: ObserveRows = (base) => {
  const { model, serializer, filters } = settingsOf(base.prototype);
  if (!filters?.fields)
    throw new ConfigurationError({
      class: 'ObserveRows',
      reason: `is mixed into a consumer of ${model.name} that declares no filters, so that clients could not say which rows they follow.`,
      remedy:
        "Declare some: ModelConsumer(Entity, { serializer, filters: { fields: ['archived'] } }), or mix in ObserveKinds.",
    });
  abstract class Observing extends base {
    @Action({ status: Status.created, kwargs: rowsKwargs })
    async subscribeRows(kwargs: SentFilter, context: ActionContext): Promise<void> {
      const meta = this.unitOfWork.em.getMetadata(modelOf(this)) as EntityMetadata;
      filtersOf(meta, optionsOf(this)).followed({ ...kwargs });
      await this.subscribe(this.onRow, kwargs, context);
    }

    @Action({ status: Status.noContent, kwargs: rowsKwargs })
    async unsubscribeRows(kwargs: SentFilter, context: ActionContext): Promise<void> {
      await this.unsubscribe(this.onRow, kwargs, context);
    }

    async onRow(event: AnyEvent, subscription: Subscription<SentFilter>): Promise<void> {
      await subscription.send(event);
    }

    @GroupsForConsumer('onRow')
    protected *groupsOfFilter({ filter }: SentFilter): Iterable<string> {
      yield encodeData(inOrder(filter ?? {}));
    }
  }
  following.add(Observing);
  observerDeclarations.write(Observing.prototype, 'onRow', {
    model: () => model,
    serializer,
    reads: ownNames(filters.fields),
    lets: (consumer, kwargs, row) => testOf(consumer, kwargs as object, row)(row.entity),
    needsBefore: true,
    visibility: visibilityOfRows,
  });
  replyShapes.write(Observing.prototype, 'subscribeRows', 'nothing');
  replyShapes.write(Observing.prototype, 'unsubscribeRows', 'nothing');
  return Observing;
};

function optionsOf(consumer: object): AnyFilterOptions {
  return settingsOf(consumer).filters ?? {};
}

/** What stands behind no relation: columns that reads leave out are written to the log for it. */
function ownNames(fields: NonNullable<AnyFilterOptions['fields']>): readonly string[] {
  return operatorsOf(fields).flatMap(([name]) => (name.includes('.') ? [] : name));
}

/** What the kwargs of a subscription ask of a row, put together once. */
const tests = new WeakMap<object, RowTest>();

/** @throws where the row lacks a column that the filter asks for, which start-up has ruled out */
function testOf(consumer: Class, kwargs: object, row: LoggedRow): (entity: object) => boolean {
  const test = tests.get(kwargs) ?? rowTest(filtersOf(row.meta, optionsOf(consumer.prototype)).followed({ ...kwargs }));
  tests.set(kwargs, test);
  return (entity) => {
    const answer = test(entity);
    if (answer === undefined) throw new Error('The change log lacks a column that a filter of subscriptions asks for.');
    return answer;
  };
}

/** The same text for filters that say the same of the same fields. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, each]) => [name, inOrder(each)]));
}
