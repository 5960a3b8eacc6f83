import {
  Action,
  type ActionContext,
  Announcer,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  GroupsForBoth,
  type ModelEvent,
  ModelObserver,
  Observer,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { Membership, Message, RoomKey } from './entities.js';
import { same, some } from './support.js';

interface Joined {
  readonly room: number;
  readonly at: Date;
}

const joined = new Signal<Joined>();
joined.send({ room: 1, at: new Date() });
// @ts-expect-error the payload has a time
joined.send({ room: 1 });

// Observers of signals

@Consumer()
class Chat extends ApiConsumer {
  @Action({ status: 201 }) async enter({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onJoined, { room }, context);
    // @ts-expect-error misspelt kwarg
    await this.subscribe(this.onJoined, { rom: room }, context);
  }

  @Observer(joined)
  async onJoined(event: SignalEvent<Joined>, subscription: Subscription<RoomKey>) {
    same<typeof event.data, Joined>();
    await subscription.send(event);
    // @ts-expect-error an event of a signal says which
    await subscription.send({ data: event.data });
  }
  @GroupsForBoth('onJoined') protected *groupsOfRoom({ room }: Joined | RoomKey) {
    yield `room-${room}`;
  }

  @Observer(joined, { body: ({ room }) => ({ text: `${room}` }), when: ({ room }) => room > 1, name: 'joined' })
  async onText(event: SignalEvent<Joined, { text: string }>) {
    same<typeof event.data, { text: string }>();
  }

  @ModelObserver(() => Message, { body: ({ text }) => ({ said: text }) })
  async onMessage(event: ModelEvent<Message, { said: string }>) {
    if (event.action !== 'delete') same<typeof event.data, { said: string }>();
  }

  // @ts-expect-error misspelt observer
  @GroupsForBoth('onJoind') protected *misspelt({ room }: Joined | RoomKey) {
    yield `room-${room}`;
  }
  // @ts-expect-error one side only
  @GroupsForBoth('onJoined') protected *oneSide({ at }: Joined) {
    yield `${at}`;
  }
}

@Consumer()
class Wrong extends ApiConsumer {
  // @ts-expect-error another payload
  @Observer(joined) async another(event: SignalEvent<{ name: string }>) {
    return event;
  }
  // @ts-expect-error its body shows it otherwise
  @Observer(joined, { body: () => ({ text: '' }) }) async otherBody(event: SignalEvent<Joined>) {
    return event;
  }
  // @ts-expect-error events of a model
  @Observer(joined) async ofModel(event: ModelEvent<Message>) {
    return event;
  }
  // @ts-expect-error its body shows it otherwise
  @ModelObserver(() => Message, { body: () => 1 }) async modelBody(event: ModelEvent<Message, string>) {
    return event;
  }
}
some<Wrong>();

// What a client hears

type Observers = ConsumerApi<Chat>['observers'];
same<keyof Observers, 'onJoined' | 'onText' | 'onMessage'>();
same<Observers['onJoined']['event'], { readonly action: string; readonly data: { room: number; at: string } }>();

// Announcing

const announcer = some<Announcer>();
announcer.announce(Message, [1], 'update') satisfies Promise<void>;
announcer.announcing(Message, [1], async () => 3) satisfies Promise<number>;
// @ts-expect-error a message is named by its number
announcer.announce(Message, ['1'], 'update');
// @ts-expect-error there is no such action
announcer.announce(Message, [1], 'remove');
// @ts-expect-error no number names a membership
announcer.announce(Membership, [1], 'update');
