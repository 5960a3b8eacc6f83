import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { connect, MemoryLogger, type TestChannel, TestClock, type TestConnection } from 'signalbox/testing';
import { type Api, type Chat, createChat } from '../../src/chat.js';
import { Message } from '../../src/entities/message.js';
import { User } from '../../src/entities/user.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

interface Visit {
  readonly user: User;
  readonly connection: TestConnection<Api>;
  readonly chat: TestChannel<Api['chat']>;
}

describe('RoomConsumer', () => {
  const clock = new TestClock(new Date('2025-11-21T07:42:00Z'));
  const logger = new MemoryLogger();
  let orm: MikroORM;
  let chat: Chat;
  let ada: Visit;
  let grace: Visit;
  let room: { id: number; name: string };

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ({ orm } = await sharedDatabase());
    chat = await createChat(orm, { clock, logger });
  });
  after(() => chat.close());

  beforeEach(async () => {
    [ada, grace] = await visits();
    room = (await ada.chat.request('create', { data: { name: unique('room') } })).data;
    await chat.app.idle();
  });
  afterEach(() => {
    for (const { connection } of [ada, grace]) connection.close();
    expect(logger.at('error')).to.deep.equal([]);
  });

  async function visits(): Promise<[Visit, Visit]> {
    const em = orm.em.fork();
    const user = (name: string) => em.create(User, { username: unique(name), passwordHash: 'hash' });
    const [first, second] = [user('ada'), user('grace')];
    await em.flush();
    return [await visit(first), await visit(second)];
  }

  const visit = async (user: User): Promise<Visit> => ({ user, ...(await again(user)) });

  async function again(user: User): Promise<Omit<Visit, 'user'>> {
    const connection = await connect<Api>(chat.app, '/ws/chat/', { user });
    return { connection, chat: connection.channel('chat') };
  }

  const viewOf = ({ id, username }: User) => ({ id, username });
  const listed = (...visits: Visit[]) => ({
    id: room.id,
    members: [viewOf(ada.user)],
    currentUsers: visits.map(({ user }) => viewOf(user)),
  });
  const join = (visit: Pick<Visit, 'chat'>) => visit.chat.request('join_room', { pk: room.id });

  it('refuses a visitor that is not logged in', async () => {
    const refusal = await connect(chat.app, '/ws/chat/').then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).to.include({ status: 401 });
  });

  describe('rooms', () => {
    it('are created with the logged-in user as their host, whatever the client says', async () => {
      const name = unique('room');
      const reply = await ada.chat.untyped.request('create', {
        data: { name, host: grace.user.id, currentUsers: [grace.user.id] },
      });
      expect(reply).to.include({ response_status: 201 });
      expect(reply.data).to.deep.include({
        name,
        host: viewOf(ada.user),
        currentUsers: [],
        messages: [],
        lastMessage: null,
      });
    });

    it('have one name each, of 1 to 255 characters in one line', async () => {
      const create = async (name: unknown) =>
        (await ada.chat.untyped.request('create', { data: { name } })).response_status;
      expect(await create(room.name)).to.equal(409);
      for (const name of ['', ' ', ' a', 'a\nb', 'a'.repeat(256), 7, null, undefined])
        expect(await create(name)).to.equal(400);
    });

    it('are listed without their history', async () => {
      const { data } = await grace.chat.request('list');
      const summary = data.find(({ id }) => id === room.id);
      expect(summary).to.deep.equal({
        id: room.id,
        name: room.name,
        host: viewOf(ada.user),
        isPrivate: false,
        currentUsers: [],
        lastMessage: null,
      });
    });

    it('that do not exist are a 404 to every action', async () => {
      for (const action of [
        'retrieve',
        'join_room',
        'leave_room',
        'subscribe_to_messages_in_room',
        'subscribe_instance',
      ]) {
        expect(await ada.chat.untyped.request(action, { pk: 2147483647 }), action).to.include({ response_status: 404 });
      }
    });

    it('are observed as instances', async () => {
      grace.chat.send({ action: 'subscribe_instance', pk: room.id, request_id: 7 });
      expect(await grace.chat.reply(7)).to.include({ response_status: 201 });
      await join(ada);
      const event = await grace.chat.receive();
      expect(event).to.include({ action: 'update', request_id: 7 });
      expect(event.data).to.deep.include(listed(ada));
    });

    it('are told to the lobby when they are opened, entered and left', async () => {
      expect(await grace.chat.request('subscribe_to_rooms')).to.include({ response_status: 201 });
      const { data } = await ada.chat.request('create', { data: { name: unique('room') } });
      const { id: pk } = data;
      expect((await grace.chat.receive()).data).to.deep.include({ id: pk, currentUsers: [] });
      await ada.chat.request('join_room', { pk });
      expect((await grace.chat.receive()).data).to.deep.include({ id: pk, currentUsers: [viewOf(ada.user)] });
      await ada.chat.request('leave_room', { pk });
      expect((await grace.chat.receive()).data).to.deep.include({ id: pk, currentUsers: [] });
    });
  });

  describe('the users of a room', () => {
    it('are the reply to who joins, and an event to who is inside', async () => {
      expect(await join(ada)).to.deep.include({ response_status: 201, data: listed(ada) });
      await ada.chat.receive();
      expect(await join(grace)).to.deep.include({ response_status: 201, data: listed(ada, grace) });
      expect(await ada.chat.receive()).to.deep.include({
        action: 'update',
        response_status: 200,
        errors: [],
        data: listed(ada, grace),
      });
    });

    it('are told again when one leaves', async () => {
      await join(ada);
      await join(grace);
      await settled(ada);
      expect(await grace.chat.request('leave_room', { pk: room.id })).to.include({ response_status: 204 });
      expect((await ada.chat.receive()).data).to.deep.equal(listed(ada));
      await settled(grace);
      await ada.chat.request('leave_room', { pk: room.id });
      await grace.chat.expectSilence();
    });

    it('are told again when one disconnects', async () => {
      await join(ada);
      await join(grace);
      await settled(ada);
      grace.connection.close();
      expect((await ada.chat.receive()).data).to.deep.equal(listed(ada));
    });

    it('have a user with two connections in it until both are gone', async () => {
      await join(ada);
      const second = await again(grace.user);
      await join(grace);
      expect((await join(second)).data).to.deep.equal(listed(ada, grace));
      await settled(ada);
      grace.connection.close();
      await grace.connection.closed;
      await ada.chat.expectSilence();
      second.connection.close();
      expect((await ada.chat.receive()).data).to.deep.equal(listed(ada));
    });

    it('lose whoever joins another room', async () => {
      const { data } = await ada.chat.request('create', { data: { name: unique('room') } });
      await join(ada);
      await join(grace);
      await settled(ada);
      await grace.chat.request('join_room', { pk: data.id });
      expect((await ada.chat.receive()).data).to.deep.equal(listed(ada));
    });
  });

  describe('private rooms', () => {
    beforeEach(async () => {
      const data = { name: unique('private'), isPrivate: true };
      room = (await ada.chat.request('create', { data })).data;
      await chat.app.idle();
    });

    const invite = (visit: Visit) => ada.chat.request('add_member', { pk: room.id, username: visit.user.username });
    const remove = (visit: Visit) => ada.chat.request('remove_member', { pk: room.id, username: visit.user.username });

    it('have their host as the first member', async () => {
      const { data } = await ada.chat.request('retrieve', { pk: room.id });
      expect(data).to.deep.include({ isPrivate: true, members: [viewOf(ada.user)] });
    });

    it('are to whoever is no member what a room is that does not exist', async () => {
      for (const action of [
        'retrieve',
        'join_room',
        'subscribe_to_messages_in_room',
        'subscribe_instance',
        'add_member',
      ]) {
        const kwargs = { pk: room.id, username: grace.user.username };
        const { request_id: _, ...forbidden } = await grace.chat.untyped.request(action, kwargs);
        const { request_id: __, ...absent } = await grace.chat.untyped.request(action, { ...kwargs, pk: 2147483647 });
        expect(forbidden, action).to.deep.equal(absent);
        expect(forbidden, action).to.include({ response_status: 404 });
      }
      const { data } = await grace.chat.request('list');
      expect(data.map(({ id }) => id)).not.to.include(room.id);
    });

    it('are told to the lobbies of their members only', async () => {
      expect(await grace.chat.request('subscribe_to_rooms')).to.include({ response_status: 201 });
      await join(ada);
      await chat.app.idle();
      await grace.chat.expectSilence();
    });

    it('come into the lobby of a new member, and leave that of a former one', async () => {
      await grace.chat.request('subscribe_to_rooms');
      expect(await invite(grace)).to.deep.include({
        response_status: 200,
        data: { ...listed(), members: [viewOf(ada.user), viewOf(grace.user)] },
      });
      const arrival = await grace.chat.receive();
      expect(arrival).to.include({ action: 'create' });
      expect(arrival.data).to.deep.include({ id: room.id, name: room.name, isPrivate: true });
      expect(await remove(grace)).to.deep.include({ response_status: 200, data: listed() });
      expect(await grace.chat.receive()).to.deep.include({ action: 'delete', data: { pk: room.id } });
    });

    it('let their members in, to read and to write', async () => {
      await invite(grace);
      expect(await join(grace)).to.include({ response_status: 201 });
      expect(await grace.chat.request('create_message', { text: 'Thank you.' })).to.include({ response_status: 201 });
    });

    it('are revoked for a member who is removed, who hears nothing of what is said next', async () => {
      await invite(grace);
      grace.chat.send({ action: 'join_room', pk: room.id, request_id: 7 });
      await grace.chat.reply(7);
      grace.chat.send({ action: 'subscribe_to_messages_in_room', pk: room.id, request_id: 8 });
      await grace.chat.reply(8);
      await join(ada);
      await settled(grace);
      await remove(grace);
      await ada.chat.request('create_message', { text: 'Among us.' });
      await chat.app.idle();
      const heard = grace.chat.frames.filter(({ action }) => action === 'revoked');
      expect(heard.map(({ request_id }) => request_id)).to.have.members([7, 8]);
      expect(JSON.stringify(grace.chat.frames)).not.to.include('Among us.');
    });

    it('do not take another word of a member who was removed, and count nobody who is not inside', async () => {
      await invite(grace);
      await join(grace);
      await remove(grace);
      expect(await grace.chat.request('create_message', { text: 'Still here?' })).to.include({ response_status: 409 });
      const { data } = await ada.chat.request('retrieve', { pk: room.id });
      expect(data).to.deep.include({ currentUsers: [] });
    });

    it('count a member who was removed and added again, on the same connection', async () => {
      await invite(grace);
      await join(grace);
      await remove(grace);
      await invite(grace);
      expect((await join(grace)).data).to.deep.include({ currentUsers: [viewOf(grace.user)] });
    });

    it('have one who says who is in them', async () => {
      await invite(grace);
      const reply = await grace.chat.request('remove_member', { pk: room.id, username: ada.user.username });
      expect(reply).to.deep.include({
        response_status: 403,
        code: 'not_the_host',
        errors: ['Only the host of a room may say who is in it.'],
      });
      expect(await remove(ada)).to.deep.include({
        response_status: 400,
        errors: [{ username: ['The host stays.'] }],
      });
      const stranger = await ada.chat.request('add_member', { pk: room.id, username: 'nobody at all' });
      expect(stranger).to.deep.include({
        response_status: 400,
        errors: [{ username: ['There is no such user.'] }],
      });
    });
  });

  describe('messages', () => {
    beforeEach(async () => {
      await join(ada);
      await settled(ada);
    });

    const say = (text: unknown) => ada.chat.untyped.request('create_message', { text });
    const listen = (requestId: number) => {
      grace.chat.send({ action: 'subscribe_to_messages_in_room', pk: room.id, request_id: requestId });
      return grace.chat.reply(requestId);
    };

    it('are answered, and told to the subscribers of the room with the usual five keys', async () => {
      expect(await listen(7)).to.include({ response_status: 201 });
      const reply = await say('The 7:42 is on time.');
      const view = {
        id: (reply.data as { id: number }).id,
        room: room.id,
        text: 'The 7:42 is on time.',
        user: viewOf(ada.user),
        createdAt: '2025-11-21T07:42:00.000Z',
        createdAtFormatted: '21-11-2025 07:42:00',
      };
      expect(reply).to.deep.include({ action: 'create_message', response_status: 201, data: view });
      expect(await grace.chat.receive()).to.deep.equal({
        errors: [],
        data: { ...view, pk: view.id },
        action: 'create',
        response_status: 200,
        request_id: 7,
      });
    });

    it('are the history of the room, oldest first, the last hundred', async () => {
      const em = orm.em.fork();
      for (let i = 1; i <= 99; i++)
        em.create(Message, { room: room.id, user: ada.user.id, text: `line ${i}`, createdAt: clock.now() });
      await em.flush();
      for (const i of [100, 101]) await say(`line ${i}`);
      const { data } = await grace.chat.request('retrieve', { pk: room.id });
      const { messages, lastMessage } = data;
      expect(messages.map(({ text }) => text)).to.deep.equal(Array.from({ length: 100 }, (_, i) => `line ${i + 2}`));
      expect(lastMessage?.text).to.equal('line 101');
    });

    it('of another room are not told', async () => {
      await listen(7);
      const { data } = await ada.chat.request('create', { data: { name: unique('room') } });
      await ada.chat.request('join_room', { pk: data.id });
      await say('Elsewhere');
      await grace.chat.expectSilence();
    });

    it('are told no more after unsubscribing', async () => {
      await listen(7);
      const reply = await grace.chat.request('unsubscribe_from_messages_in_room', { pk: room.id });
      expect(reply).to.include({ response_status: 204 });
      await say('Anybody there?');
      await grace.chat.expectSilence();
    });

    it('need a room that was joined', async () => {
      const reply = await grace.chat.request('create_message', { text: 'hi' });
      expect(reply).to.deep.include({ response_status: 409, code: 'not_in_room', errors: ['Join a room first.'] });
      await ada.chat.request('leave_room', { pk: room.id });
      expect(await say('hi')).to.include({ response_status: 409 });
    });

    it('have 1 to 500 characters, and something to read', async () => {
      for (const text of ['', '  \n', 'a'.repeat(501), 'a\0b', 7, null, undefined]) {
        expect(Object.keys((await say(text)).errors[0] as object)).to.deep.equal(['text']);
      }
      expect(await say('🚂'.repeat(500))).to.include({ response_status: 201 });
    });
  });

  /** Receives the events that are on their way. */
  async function settled({ chat: channel }: Visit): Promise<void> {
    await channel.expectSilence().catch(() => undefined);
  }
});
