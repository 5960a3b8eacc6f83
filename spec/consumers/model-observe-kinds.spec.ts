import { expect } from 'chai';
import {
  type ActionContext,
  Consumer,
  ModelConsumer,
  mix,
  ObserveKinds,
  type Permission,
  Permissions,
  path,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Room, User } from '../support/entities.js';
import { IsCurrent, RoomSerializer, useRooms } from '../support/rooms.js';

const base = mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveKinds);

@Consumer()
class RoomConsumer extends base {}

@Consumer()
class CurrentConsumer extends base {
  protected override getQuery() {
    return { archived: false };
  }
}

let opened: Promise<void> | undefined;

@Consumer()
class WaitingConsumer extends base {
  protected override async getQuery() {
    await opened;
    return { archived: false };
  }
}

@Consumer()
class HostedConsumer extends base {
  protected override getQuery() {
    return { host: { username: 'ann' } };
  }
}

@Consumer()
@Permissions(IsCurrent)
class JudgedConsumer extends base {}

let isGranted = true;

class MayListen implements Permission {
  hasPermission({ action, kwargs }: ActionContext) {
    return isGranted && action === 'subscribe' && kwargs['data'] !== undefined;
  }
}

@Consumer()
@Permissions(MayListen)
class GrantedConsumer extends base {}

describe('ObserveKinds', () => {
  const database = useDatabase('observe_kinds');
  const rooms = useRooms(database, [
    path('/rooms/', RoomConsumer),
    path('/current/', CurrentConsumer),
    path('/waiting/', WaitingConsumer),
    path('/hosted/', HostedConsumer),
    path('/judged/', JudgedConsumer),
    path('/granted/', GrantedConsumer),
  ]);
  const { write, add, remove } = rooms;

  beforeEach(() => {
    isGranted = true;
    opened = undefined;
  });

  async function ask(kind: unknown, more: object = {}, to = rooms.ann) {
    to.send({ action: 'subscribe', request_id: 4, data: { action: kind }, ...more });
    return to.receive();
  }

  it('answers as channels-api does, and tells events of the kind that was asked for', async () => {
    expect(await ask('update')).to.deep.equal({
      errors: [],
      data: { action: 'update' },
      action: 'subscribe',
      response_status: 200,
      request_id: 4,
    });
    await add('green');
    await write((room) => (room.name = 'pink'));
    expect(await rooms.ann.receive()).to.deep.equal({
      errors: [],
      data: { id: 1, name: 'pink' },
      action: 'update',
      response_status: 200,
      request_id: 4,
    });
    await remove(1);
    await rooms.ann.expectSilence();
  });

  it('tells creates, and deletes by the key of the row', async () => {
    await ask('create', { request_id: 5 });
    await ask('delete', { request_id: 6 });
    await add('green');
    expect(await rooms.ann.receive()).to.include({ action: 'create', request_id: 5 });
    await write((room) => (room.name = 'pink'));
    await remove(1);
    expect(await rooms.ann.receive()).to.deep.include({ action: 'delete', request_id: 6, data: { pk: 1 } });
    await rooms.ann.expectSilence();
  });

  it('tells of one row where a pk names it', async () => {
    await ask('update', { pk: 1 });
    await write((room) => (room.name = 'navy'), 2);
    await write((room) => (room.name = 'pink'));
    expect(await rooms.ann.receive()).to.deep.include({ data: { id: 1, name: 'pink' }, action: 'update' });
    await rooms.ann.expectSilence();
  });

  for (const { title, request, errors } of [
    { title: 'no kind', request: { data: {} }, errors: ['action required'] },
    { title: 'no data', request: { data: undefined }, errors: ['action required'] },
    {
      title: 'a kind that is none',
      request: { data: { action: 'move' } },
      errors: [{ 'data.action': ['"move" is not a valid choice.'] }],
    },
    {
      title: 'the key of a row that is yet to be created',
      request: { data: { action: 'create' }, pk: 1 },
      errors: [{ pk: ['A row that is yet to be created has no key.'] }],
    },
  ]) {
    it(`answers 400 to ${title}`, async () => {
      rooms.ann.send({ action: 'subscribe', request_id: 4, ...request });
      expect(await rooms.ann.receive()).to.deep.include({ response_status: 400, errors, data: null });
    });
  }

  it('answers 404 for a row that the consumer or a permission does not show, and 400 without a request id', async () => {
    for (const where of ['/current/', '/judged/']) {
      await using bob = await connect(rooms.app, where);
      expect(await ask('update', { pk: 2 }, bob), where).to.include({ response_status: 404 });
      expect(await ask('update', { pk: 1 }, bob), where).to.include({ response_status: 200 });
    }
    expect(await ask('update', { request_id: undefined })).to.include({ response_status: 400 });
  });

  it('ends by the kind and the row with the same request id', async () => {
    await ask('update');
    await ask('delete');
    rooms.ann.send({ action: 'unsubscribe', request_id: 4, data: { action: 'update' } });
    expect(await rooms.ann.receive()).to.deep.equal({
      errors: [],
      data: null,
      action: 'unsubscribe',
      response_status: 204,
      request_id: 4,
    });
    await write((room) => (room.name = 'pink'));
    await remove(1);
    expect(await rooms.ann.receive()).to.include({ action: 'delete', request_id: 4 });
  });

  it('ends one row of several, and without a request id all subscriptions of the kind and row', async () => {
    await ask('update', { pk: 1 });
    await ask('update', { pk: 2 });
    await ask('update', { pk: 2, request_id: 5 });
    rooms.ann.send({ action: 'unsubscribe', request_id: 4, data: { action: 'update' }, pk: 1 });
    await rooms.ann.receive();
    await write((room) => (room.name = 'pink'));
    await write((room) => (room.name = 'navy'), 2);
    expect([(await rooms.ann.receive()).request_id, (await rooms.ann.receive()).request_id]).to.deep.equal([4, 5]);
    rooms.ann.send({ action: 'unsubscribe', data: { action: 'update' }, pk: 2 });
    await rooms.ann.receive();
    await write((room) => (room.name = 'black'), 2);
    await rooms.ann.expectSilence();
  });

  it('leaves `unsubscribe` with a target to the protocol, which ends all of a request id', async () => {
    await ask('update');
    await ask('create');
    rooms.ann.send({ action: 'unsubscribe', request_id: 9, target: 4 });
    expect(await rooms.ann.receive()).to.include({ response_status: 204, request_id: 9 });
    await add('green');
    await write((room) => (room.name = 'pink'));
    await rooms.ann.expectSilence();
  });

  for (const where of ['/current/', '/judged/']) {
    it(`tells of what comes into sight and leaves it, and nothing of what is out of sight, at ${where}`, async () => {
      await using bob = await connect(rooms.app, where);
      await ask('create', { request_id: 'created' }, bob);
      await ask('update', { request_id: 'updated' }, bob);
      await ask('delete', { request_id: 'deleted' }, bob);
      await write((room) => (room.name = 'navy'), 2);
      await bob.expectSilence();
      await write((room) => (room.archived = false), 2);
      expect(await bob.receive()).to.deep.include({
        action: 'create',
        request_id: 'created',
        data: { id: 2, name: 'navy' },
      });
      await write((room) => (room.name = 'pink'), 2);
      expect(await bob.receive()).to.deep.include({
        action: 'update',
        request_id: 'updated',
        data: { id: 2, name: 'pink' },
      });
      await write((room) => (room.archived = true), 2);
      expect(await bob.receive()).to.deep.include({ action: 'delete', request_id: 'deleted', data: { pk: 2 } });
      await remove(2);
      await bob.expectSilence();
    });
  }

  it('tells each change by what it was, where others have followed before it is looked at', async () => {
    await using bob = await connect(rooms.app, '/waiting/');
    for (const kind of ['create', 'update', 'delete']) await ask(kind, { request_id: kind }, bob);
    const { promise, resolve } = Promise.withResolvers<void>();
    opened = promise;
    await write((room) => (room.name = 'navy'), 2);
    await write((room) => (room.archived = false), 2);
    await write((room) => (room.name = 'pink'));
    await write((room) => (room.archived = true));
    await remove(1);
    resolve();
    const frames = [await bob.receive(), await bob.receive()];
    expect(frames.map(({ action, data }) => ({ action, data }))).to.have.deep.members([
      { action: 'create', data: { id: 2, name: 'navy' } },
      { action: 'delete', data: { pk: 1 } },
    ]);
    await bob.expectSilence();
  });

  it('asks the query of the row as it was also where it leads to other tables', async () => {
    await using bob = await connect(rooms.app, '/hosted/');
    await ask('update', { request_id: 'updated' }, bob);
    await ask('delete', { request_id: 'deleted' }, bob);
    await write((room) => (room.name = 'navy'), 2);
    await bob.expectSilence();
    await write((room) => (room.host = rooms.em.getReference(User, 1)));
    await write((room) => (room.name = 'pink'));
    expect(await bob.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'pink' } });
    await write((room) => (room.host = rooms.em.getReference(User, 2)));
    expect(await bob.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    await bob.expectSilence();
  });

  it('asks the permissions again for each event, with the action and the kwargs that subscribed', async () => {
    await using bob = await connect(rooms.app, '/granted/');
    expect(await ask('update', {}, bob)).to.include({ response_status: 200 });
    await write((room) => (room.name = 'pink'));
    expect(await bob.receive()).to.include({ action: 'update' });
    isGranted = false;
    await write((room) => (room.name = 'navy'));
    await bob.expectSilence();
  });
});
