import { IsInt, IsOptional } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  type Subscription,
} from 'signalbox';
import { ShelfKey, ShortSerializer, Thing } from '../support/things.js';

export class NameOfShelf {
  @IsOptional() @IsInt() shelf?: number;
  @IsOptional() @IsInt() pk?: number;
}

/** Subscribes to what its observer says of all things. */
export abstract class Watching extends ApiConsumer {
  abstract onThing(event: ModelEvent<Thing, unknown>, subscription: Subscription<object>): Promise<void>;

  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onThing, {}, context);
  }
}

/** Every thing, without a serializer: the data are `{ pk }`. */
@Consumer()
export class AllThings extends ApiConsumer {
  @Action({ status: 201 })
  async subscribeAll(context: ActionContext) {
    await this.subscribe(this.onThing, {}, context);
  }

  @Action({ status: 204 })
  async unsubscribeAll(context: ActionContext) {
    await this.unsubscribe(this.onThing, {}, context);
  }

  @Action({ status: 204 })
  async unsubscribeEverything() {
    await this.unsubscribe(this.onThing, {});
  }

  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

/** Things by shelf, groups in two methods. */
@Consumer()
export class ByShelf extends ApiConsumer {
  @Action({ status: 201 })
  async subscribeShelf({ shelf }: ShelfKey, context: ActionContext) {
    await this.subscribe(this.onThing, { shelf }, context);
  }

  @Action({ status: 204 })
  async unsubscribeShelf({ shelf }: ShelfKey, context: ActionContext) {
    await this.unsubscribe(this.onThing, { shelf }, context);
  }

  @ModelObserver(() => Thing, { serializer: ShortSerializer })
  async onThing(event: ModelEvent<ShortSerializer>, subscription: Subscription<ShelfKey>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onThing') protected *groupsOfThing({ shelf }: Thing) {
    yield `shelf-${shelf}`;
  }
  @GroupsForConsumer('onThing') protected *groupsOfKey({ shelf }: ShelfKey) {
    yield `shelf-${shelf}`;
  }
}

/** Things by shelf, groups in one method, subscribed on connect too late for a request id: an action does it. */
@Consumer()
export class BothSides extends ApiConsumer {
  @Action({ status: 201 })
  async watch({ shelf }: ShelfKey, context: ActionContext) {
    await this.subscribe(this.onThing, { shelf }, context);
  }

  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<ShelfKey>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onThing') protected *groups({ shelf }: Thing | ShelfKey) {
    yield `shelf-${shelf}`;
  }
}

/** A thing is in two groups: that of its shelf and its own. */
@Consumer()
export class TwoGroups extends ApiConsumer {
  @Action({ status: 201 })
  async watch(kwargs: NameOfShelf, context: ActionContext) {
    await this.subscribe(this.onThing, kwargs, context);
  }

  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<NameOfShelf>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onThing') protected *groupsOfThing({ shelf, id }: Thing) {
    yield `shelf-${shelf}`;
    yield `pk-${id}`;
  }
  @GroupsForConsumer('onThing') protected *groupsOfKey({ shelf, pk }: NameOfShelf) {
    if (shelf !== undefined) yield `shelf-${shelf}`;
    if (pk !== undefined) yield `pk-${pk}`;
  }
}
