import { readFileSync } from 'node:fs';
import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { Expose } from 'class-transformer';
import { IsEmail, IsInt, Length } from 'class-validator';
import express from 'express';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  nodeView,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  route,
  type Subscription,
  Update,
  viewAsConsumer,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';

// 1. A generic API consumer with all six actions

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], readOnly: ['id'] }) {}

@Consumer()
class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  Patch,
  Delete,
) {}

// 2. Custom actions without a model

class SendEmail {
  @IsEmail() to!: string;
  @Length(1, 200) subject!: string;
}

@Consumer()
class MailConsumer extends ApiConsumer {
  @Action({ status: 202 })
  async sendEmail({ to, subject }: SendEmail) {
    return { queued: `${subject} to ${to}` };
  }
}

// 3. Custom actions with a model

class Invite {
  @IsInt() user!: number;
}

@Consumer()
class InvitingConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve) {
  @DetailAction()
  archive(room: Room) {
    room.archived = true;
    return room;
  }

  @DetailAction()
  async invite(room: Room, { user }: Invite, _context: ActionContext) {
    return { room: room.name, invited: user };
  }
}

// 4. Observing one instance

@Consumer()
class LiveRoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve, ObserveInstance) {}

// 5. A view as a consumer

class LegacyRoom {
  @Expose() id!: number;
  @Expose() name!: string;
}

const http = express().get('/rooms/:pk', (request, response) => {
  response.json({ id: Number(request.params.pk), name: 'red' });
});

const LegacyRooms = viewAsConsumer(nodeView(http), { retrieve: route('GET /rooms/:pk', LegacyRoom) });

// 6. A model observer

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text'], readOnly: ['id'] }) {}

@Consumer()
class MessageFeed extends ApiConsumer {
  @Action({ status: 201 })
  async subscribeToMessages(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }

  @Action({ status: 204 })
  async unsubscribeFromMessages(context: ActionContext) {
    await this.unsubscribe(this.onMessage, {}, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

// 7. A filtered model observer

class RoomKey {
  @IsInt() room!: number;
}

@Consumer()
class RoomFeed extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.em.findOneOrFail(Room, room);
    await this.subscribe(this.onMessage, { room }, context);
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

describe("The examples of DCRF's documentation, rewritten", () => {
  const database = useDatabase('dcrf_examples');
  let app: App;
  let em: EntityManager;

  beforeEach(async () => {
    em = database.orm.em.fork();
    const red = em.create(Room, { name: 'red' });
    const blue = em.create(Room, { name: 'blue' });
    em.persist([red, blue, em.create(User, { username: 'ann', password: 'x' })]);
    await em.flush();
    app = createApp({
      orm: database.orm,
      routes: [
        path('/ws/rooms/', RoomConsumer),
        path('/ws/mail/', MailConsumer),
        path('/ws/inviting/', InvitingConsumer),
        path('/ws/live/', LiveRoomConsumer),
        path('/ws/legacy/', LegacyRooms),
        path('/ws/feed/', MessageFeed),
        path('/ws/room-feed/', RoomFeed),
      ],
    });
  });
  afterEach(() => app.close());

  async function say(room: number, text: string): Promise<void> {
    em.persist(em.create(Message, { room: em.getReference(Room, room), text }));
    await em.flush();
  }

  it('a generic API consumer with all six actions', async () => {
    await using ann = await connect(app, '/ws/rooms/');
    const red = { id: 1, name: 'red' };
    expect(await ann.request('list')).to.deep.include({ data: [red, { id: 2, name: 'blue' }], response_status: 200 });
    expect(await ann.request('retrieve', { pk: 1 })).to.deep.include({ data: red, response_status: 200 });
    const green = { id: 3, name: 'green' };
    expect(await ann.request('create', { data: { name: 'green' } })).to.deep.include({
      data: green,
      response_status: 201,
    });
    const { data: updated } = await ann.request('update', { pk: 3, data: { name: 'lime' } });
    expect(updated).to.deep.equal({ id: 3, name: 'lime' });
    const { data: patched } = await ann.request('patch', { pk: 3, data: { name: 'olive' } });
    expect(patched).to.deep.equal({ id: 3, name: 'olive' });
    expect(await ann.request('delete', { pk: 3 })).to.deep.include({ data: null, response_status: 204 });
  });

  it('custom actions without a model', async () => {
    await using ann = await connect(app, '/ws/mail/');
    expect(await ann.request('send_email', { request_id: 1, to: 'bob@example.com', subject: 'Hi' })).to.deep.equal({
      errors: [],
      data: { queued: 'Hi to bob@example.com' },
      action: 'send_email',
      response_status: 202,
      request_id: 1,
    });
    expect(await ann.request('send_email', { to: 'bob', subject: 'Hi' })).to.include({ response_status: 400 });
  });

  it('custom actions with a model', async () => {
    await using ann = await connect(app, '/ws/inviting/');
    expect(await ann.request('archive', { pk: 1 })).to.deep.include({ data: { id: 1, name: 'red' } });
    expect((await em.findOneOrFail(Room, 1, { refresh: true })).archived).to.equal(true);
    expect(await ann.request('invite', { pk: 1, user: 7 })).to.deep.include({ data: { room: 'red', invited: 7 } });
    expect(await ann.request('archive', { pk: 9 })).to.include({ response_status: 404 });
  });

  it('observing one instance', async () => {
    await using ann = await connect(app, '/ws/live/');
    expect(await ann.request('subscribe_instance', { pk: 1, request_id: 4 })).to.include({ response_status: 201 });
    (await em.findOneOrFail(Room, 1)).name = 'pink';
    await em.flush();
    expect(await ann.receive()).to.deep.equal({
      errors: [],
      data: { id: 1, name: 'pink' },
      action: 'update',
      response_status: 200,
      request_id: 4,
    });
    expect(await ann.request('unsubscribe_instance', { pk: 1, request_id: 4 })).to.include({ response_status: 204 });
  });

  it('view as consumer', async () => {
    await using ann = await connect(app, '/ws/legacy/');
    expect(await ann.request('retrieve', { pk: 1 })).to.deep.include({ data: { id: 1, name: 'red' } });
  });

  it('a model observer', async () => {
    await using ann = await connect(app, '/ws/feed/');
    await ann.request('subscribe_to_messages', { request_id: 4 });
    await say(1, 'hi');
    expect(await ann.receive()).to.deep.equal({
      errors: [],
      data: { id: 1, text: 'hi' },
      action: 'create',
      response_status: 200,
      request_id: 4,
    });
    expect(await ann.request('unsubscribe_from_messages', { request_id: 4 })).to.include({ response_status: 204 });
    await say(1, 'anybody?');
    await ann.expectSilence();
  });

  it('a filtered model observer', async () => {
    await using ann = await connect(app, '/ws/room-feed/');
    expect(await ann.request('subscribe_to_room', { room: 1, request_id: 4 })).to.include({ response_status: 201 });
    await say(2, 'elsewhere');
    await ann.expectSilence();
    await say(1, 'here');
    expect(await ann.receive()).to.deep.include({ data: { id: 2, text: 'here' }, action: 'create', request_id: 4 });
  });

  it('stand in the guide as they run here', () => {
    const root = new URL('../../../', import.meta.url);
    const source = readFileSync(new URL('spec/dcrf/examples.spec.ts', root), 'utf8');
    const guide = readFileSync(new URL('docs/coming-from-dcrf.md', root), 'utf8');
    const [, examples = ''] = guide.split(/^## /m).slice(1);
    const blocks = [...examples.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = '']) => block);
    expect(blocks).to.have.length(7);
    for (const block of blocks) expect(source).to.include(block);
  });
});
