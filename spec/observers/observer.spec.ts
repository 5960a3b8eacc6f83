import { wrap } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { observersOf } from '#signalbox/observers/observer.js';
import { useDatabase } from '../support/database.js';
import { Message, Room } from '../support/entities.js';
import { MessageObserver, MessageSerializer, RoomKey } from '../support/rooms.js';
import { useServer } from '../support/serving.js';

abstract class Following extends MessageObserver {
  @Action({ status: 201 })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }
}

@Consumer()
class Inheriting extends Following {}

@Consumer()
class Overriding extends Following {
  override async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    if (event.action === 'create') await super.onMessage(event, subscription);
    else await subscription.send({ action: event.action, data: { room: subscription.kwargs.room } });
  }

  protected override *groupsOfMessage(message: Message) {
    yield* super.groupsOfMessage(message);
    yield 'lobby';
  }

  protected override *groupsOfRoom({ room }: RoomKey) {
    yield room === 0 ? 'lobby' : `room-${room}`;
  }
}

@Consumer()
class Asynchronous extends ApiConsumer {
  @Action({ status: 201 })
  async follow({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message)
  async onMessage(event: ModelEvent<Message>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected async *groupsOfMessage({ room }: Message) {
    yield (await wrap(room).init())?.name ?? 'nowhere';
  }

  @GroupsForConsumer('onMessage')
  protected async groupsOfRoom({ room }: RoomKey) {
    return [room === 1 ? 'red' : 'blue'];
  }
}

@Consumer()
class Plain extends ApiConsumer {
  @Action({ status: 201 })
  async followAll(context: ActionContext) {
    await this.subscribe(this.onMessage, undefined, context);
    await this.subscribe(this.onRoom, undefined, context);
  }

  @ModelObserver(() => Message)
  async onMessage(event: ModelEvent<Message>, subscription: Subscription<undefined>) {
    await subscription.send(event);
  }

  @ModelObserver(() => Room)
  async onRoom({ action }: ModelEvent<Room>, subscription: Subscription<undefined>) {
    await subscription.send({ action, data: 'a room' });
    await subscription.send({ action, data: 'the same room' });
  }
}

const streams = { inheriting: Inheriting, overriding: Overriding, asynchronous: Asynchronous, plain: Plain };

describe('An observer', () => {
  const database = useDatabase('observer');
  const serve = useServer();
  let ann: TestConnection;

  beforeEach(async () => {
    await database.orm.em.execute(`insert into room (name, archived) values ('red', false), ('blue', false)`);
    const { app } = serve([path('/ws/', demultiplexer(streams))], { orm: database.orm });
    ann = await connect(app, '/ws/');
  });

  async function say(room: number): Promise<Message> {
    const em = database.orm.em.fork();
    const message = em.create(Message, { room, text: 'hi' });
    await em.flush();
    return message;
  }

  it('is inherited with its groups', async () => {
    const channel = ann.channel('inheriting');
    await channel.request('follow', { room: 1 });
    await say(2);
    await say(1);
    expect(await channel.receive()).to.deep.include({ action: 'create', data: { id: 2, text: 'hi' } });
    await channel.expectSilence();
  });

  it('is overridden, groups and all, and reaches what it overrides by super', async () => {
    const channel = ann.channel('overriding');
    await channel.request('follow', { room: 0 });
    const em = database.orm.em.fork();
    const message = em.create(Message, { room: 1, text: 'hi' });
    await em.flush();
    expect(await channel.receive()).to.deep.include({ action: 'create', data: { id: 1, text: 'hi' } });
    message.text = 'ho';
    await em.flush();
    expect(await channel.receive()).to.deep.include({ action: 'update', data: { room: 0 } });
    await channel.expectSilence();
  });

  it('may take its groups from promises and async generators, which may load what the row refers to', async () => {
    const channel = ann.channel('asynchronous');
    await channel.request('follow', { room: 1 });
    await say(2);
    await say(1);
    expect(await channel.receive()).to.deep.include({ action: 'create', data: { pk: 2 } });
    await channel.expectSilence();
  });

  it('without groups hears of every row of its model; without a serializer the data are the key', async () => {
    const channel = ann.channel('plain');
    channel.send({ action: 'follow_all', request_id: 7 });
    expect(await channel.receive()).to.include({ response_status: 201 });
    await say(1);
    await say(2);
    expect(await channel.receive()).to.deep.equal({
      errors: [],
      data: { pk: 1 },
      action: 'create',
      response_status: 200,
      request_id: 7,
    });
    expect(await channel.receive()).to.deep.include({ data: { pk: 2 } });
    await channel.expectSilence();
  });

  it('may share its request id with another one, and send what it likes as often as it likes', async () => {
    const channel = ann.channel('plain');
    channel.send({ action: 'follow_all', request_id: 7 });
    await channel.receive();
    const em = database.orm.em.fork();
    (await em.findOneOrFail(Room, 1)).archived = true;
    await em.flush();
    expect(await channel.receive()).to.deep.include({ action: 'update', data: 'a room', request_id: 7 });
    expect(await channel.receive()).to.deep.include({ action: 'update', data: 'the same room', request_id: 7 });
    await channel.expectSilence();
  });
});

describe('The observers of a class', () => {
  it('are refused with groups for one side only', () => {
    class OneSided extends ApiConsumer {
      @ModelObserver(() => Message)
      async onMessage(_event: ModelEvent<Message>) {}

      @GroupsForSignal('onMessage')
      protected *groupsOfMessage(_message: Message) {
        yield 'all';
      }
    }
    expect(() => observersOf(OneSided, 'OneSided')).to.throw(
      'OneSided.onMessage: has groups for one side only, so no subscription would ever receive a change. ' +
        "Add a method with @GroupsForConsumer('onMessage').",
    );
  });

  it('are refused with groups for a method that is no observer', () => {
    class Misspelt extends ApiConsumer {
      @ModelObserver(() => Message)
      async onMessage(_event: ModelEvent<Message>) {}

      async onMassage(_event: ModelEvent<Message>) {}

      @GroupsForSignal('onMassage')
      protected *groupsOfMessage(_message: Message) {
        yield 'all';
      }
    }
    expect(() => observersOf(Misspelt, 'Misspelt')).to.throw(
      'Misspelt.groupsOfMessage: yields groups for "onMassage", which is not an observer. ' +
        'Put @ModelObserver on onMassage, or name one of: onMessage.',
    );
  });

  it('have groups that no other observer shares, each of them once', async () => {
    class Twice extends ApiConsumer {
      @ModelObserver(() => Message)
      async onMessage(_event: ModelEvent<Message>) {}

      @GroupsForSignal('onMessage')
      protected groupsOfMessage(_message: Message) {
        return ['all', 'all'];
      }

      @GroupsForConsumer('onMessage')
      protected groupsOfAll() {
        return ['all'];
      }
    }
    const observer = observersOf(Twice, '/ws/Twice').get('onMessage');
    expect(await observer?.groupsOfRow(new Message(), () => {})).to.deep.equal(['/ws/Twice.onMessage/all']);
    expect(await observer?.groupsOfSubscription(new Twice(), undefined)).to.deep.equal(['/ws/Twice.onMessage/all']);
  });
});
