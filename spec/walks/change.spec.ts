import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type Subscription,
  Update,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text', 'room'] }) {}

@injectable()
class RoomSerializer extends ModelSerializer(Room, {
  fields: ['id', 'name', 'host', 'members', 'archived'],
  readOnly: ['id'],
}) {}

class RoomKey {
  @IsInt() room!: number;
}

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
  ObserveInstance,
) {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @Action({ status: 201 })
  async say({ room }: RoomKey) {
    const message = this.em.create(Message, { room, text: 'hi' });
    await this.em.flush();
    return { id: message.id };
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

describe('The change walk', () => {
  const database = useDatabase('change_walk');
  let app: App;

  beforeEach(() => {
    app = createApp({ orm: database.orm, routes: [path('/ws/rooms/', RoomConsumer)] });
  });
  afterEach(() => app.close());

  it('goes from a create to the frame of a subscriber', async () => {
    await using ann = await connect(app, '/ws/rooms/');
    const em = database.orm.em.fork();
    const user = em.create(User, { username: 'ann', password: 'x' });
    await em.flush();
    expect(await ann.request('create', { data: { name: 'red', host: user.id, members: [user.id] } })).to.deep.equal({
      errors: [],
      data: { id: 1, name: 'red', host: 1, members: [1], archived: false },
      action: 'create',
      response_status: 201,
      request_id: 'test-1',
    });
    ann.send({ action: 'subscribe_to_room', request_id: 7, room: 1 });
    expect(await ann.receive()).to.include({ response_status: 201, request_id: 7, data: null });
    expect(await ann.request('say', { room: 1 })).to.deep.include({ response_status: 201, data: { id: 1 } });
    expect(await ann.receive()).to.deep.equal({
      errors: [],
      data: { id: 1, text: 'hi', room: 1 },
      action: 'create',
      response_status: 200,
      request_id: 7,
    });
    await ann.expectSilence();
    ann.send({ action: 'subscribe_instance', request_id: 'i', pk: 1 });
    await ann.receive();
    ann.send({ action: 'patch', request_id: 'p', pk: 1, data: { name: 'blue' } });
    expect(await ann.receive()).to.include({ request_id: 'p', response_status: 200 });
    expect(await ann.receive()).to.deep.include({
      request_id: 'i',
      action: 'update',
      data: { id: 1, name: 'blue', host: 1, members: [1], archived: false },
    });
    expect(await ann.request('list')).to.deep.include({
      data: [{ id: 1, name: 'blue', host: 1, members: [1], archived: false }],
    });
    expect(await ann.request('create', { data: { name: 'blue' } })).to.deep.include({
      response_status: 409,
      errors: [{ name: ['Room with this name already exists.'] }],
    });
    const other = database.orm.em.fork();
    const room = await other.findOneOrFail(Room, 1, { populate: ['members'] });
    room.members.removeAll();
    await other.flush();
    expect(await ann.receive()).to.deep.include({
      request_id: 'i',
      action: 'update',
      data: { id: 1, name: 'blue', host: 1, members: [], archived: false },
    });
  });
});
