import {
  Action,
  type ActionContext,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  Create,
  Delete,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  Retrieve,
  type Subscription,
  without,
} from 'signalbox';
import { Room, RoomSerializer } from './entities.js';
import { same } from './support.js';

@Consumer()
export class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Delete,
) {
  constructor(readonly clock: { now(): number }) {
    super();
  }
  @Action() async count() {
    return 1;
  }
  @ModelObserver(() => Room) async onRoom(_event: ModelEvent<Room>, _subscription: Subscription) {}
  protected helper() {
    return 'help';
  }
}

// What is taken away is no action for clients; the code of the class has it, with all that is protected

@Consumer()
export class ArchiveConsumer extends without(RoomConsumer, 'create', 'delete') {
  @Action() async more(context: ActionContext) {
    await this.subscribe(this.onRoom, {}, context);
    this.create satisfies (kwargs: { readonly data: { name: string } }, context: ActionContext) => Promise<Room>;
    return this.helper().length + this.clock.now();
  }
}
type Archive = ConsumerApi<ArchiveConsumer>;
same<keyof Archive['actions'], 'list' | 'retrieve' | 'count' | 'more'>();
same<keyof Archive['observers'], 'onRoom'>();
same<Archive['actions']['retrieve'], ConsumerApi<RoomConsumer>['actions']['retrieve']>();
new ArchiveConsumer({ now: () => 1 });
// @ts-expect-error its constructor is the inherited one
new ArchiveConsumer();

// Of a class that has lost some already

@Consumer()
class Fewer extends without(ArchiveConsumer, 'more') {}
same<keyof ConsumerApi<Fewer>['actions'], 'list' | 'retrieve' | 'count'>();

// It is an action that is named

// @ts-expect-error misspelt
without(RoomConsumer, 'delte');
// @ts-expect-error an observer is none
without(RoomConsumer, 'onRoom');
// @ts-expect-error nor is what is protected
without(RoomConsumer, 'helper');
// @ts-expect-error it is gone already
without(ArchiveConsumer, 'delete');
// @ts-expect-error nothing is taken away
without(RoomConsumer);
// @ts-expect-error no consumer
without(Room, 'name');
// @ts-expect-error the base of all has none
without(ApiConsumer, 'onConnect');
