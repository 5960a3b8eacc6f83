import { LockMode, type Opt } from '@mikro-orm/core';
import { Entity, Filter, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type ActionContext,
  Consumer,
  createApp,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveRows,
  Patch,
  type Permission,
  Permissions,
  path,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { entities, Room, User } from '../support/entities.js';
import { IsCurrent, useRooms } from '../support/rooms.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'archived'], readOnly: ['id'] }) {}

const base = mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    filters: {
      fields: {
        id: ['lte', 'in'],
        archived: ['exact'],
        name: ['exact', 'istarts_with'],
        host: ['exact', 'in', 'not', 'is_null'],
        'host.username': ['exact'],
        members: ['exact'],
      },
    },
  }),
  ObserveRows,
);

@Consumer()
class RoomConsumer extends base {}

/** Of another process: it observes nothing itself. */
@Consumer()
class WritingConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Patch) {}

@Consumer()
class CurrentConsumer extends base {
  protected override getQuery() {
    return { archived: false };
  }
}

/** What is deleted is hidden by the ORM itself, and a secret is never read. */
@Filter({ name: 'kept', cond: { deleted: false }, default: true })
@Entity()
class Draft {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) text!: string;
  @Property({ type: 'boolean', default: false }) deleted: Opt<boolean> = false;
  @Property({ type: 'string', nullable: true, hidden: true, lazy: true }) secret?: string | null;
  @Property({ type: 'integer', nullable: true, lazy: true }) weight?: number | null;
  @Property({ type: 'double', nullable: true }) ratio?: number | null;
  @Property({ columnType: 'point', nullable: true }) spot?: object | null;
  @Property({ type: 'blob', nullable: true }) image?: Buffer | null;
  @Property({ type: 'json', nullable: true }) extra?: unknown;
  @Property({ columnType: 'text[]', nullable: true }) words?: string[] | null;
}

@injectable()
class DraftSerializer extends ModelSerializer(Draft, { fields: ['id', 'text'] }) {}

const drafts = mix(
  ModelConsumer(Draft, { serializer: DraftSerializer, filters: { fields: { id: ['in'], weight: ['gt', 'is_null'] } } }),
  ObserveRows,
);

@Consumer()
class DraftConsumer extends drafts {}

/** Its query compares what JSON has no number for. */
@Consumer()
class LargeConsumer extends drafts {
  protected override getQuery() {
    return { ratio: { $gt: 1 } };
  }
}

/** Its query looks at a column that the change log does not have. */
@Consumer()
class SecretConsumer extends drafts {
  protected override getQuery() {
    return { secret: null };
  }
}

@Consumer()
@Permissions(IsCurrent)
class JudgedConsumer extends base {}

let isGranted = true;

class MayListen implements Permission {
  hasPermission({ action, kwargs }: ActionContext) {
    return isGranted && action === 'subscribe_rows' && kwargs['filter'] !== undefined;
  }
}

@Consumer()
@Permissions(MayListen)
class GrantedConsumer extends base {}

describe('ObserveRows', () => {
  const database = useDatabase('observe_rows', [...entities, Draft]);
  const second = useSecondOrm(database);
  const rooms = useRooms(database, [
    path('/rooms/', RoomConsumer),
    path('/current/', CurrentConsumer),
    path('/judged/', JudgedConsumer),
    path('/granted/', GrantedConsumer),
    path('/drafts/', DraftConsumer),
    path('/secrets/', SecretConsumer),
    path('/large/', LargeConsumer),
  ]);
  const { write, remove } = rooms;

  beforeEach(() => {
    isGranted = true;
  });

  async function follow(filter?: object, more: object = {}, to = rooms.ann) {
    to.send({ action: 'subscribe_rows', request_id: 4, filter, ...more });
    return to.receive();
  }

  it('answers 201, and tells a row that begins to match as a create, and one that stops as a delete', async () => {
    expect(await follow({ archived: false })).to.deep.equal({
      errors: [],
      data: null,
      action: 'subscribe_rows',
      response_status: 201,
      request_id: 4,
    });
    await write((room) => (room.name = 'navy'), 2);
    await write((room) => (room.archived = false), 2);
    expect(await rooms.ann.receive()).to.deep.equal({
      errors: [],
      data: { id: 2, name: 'navy', archived: false },
      action: 'create',
      response_status: 200,
      request_id: 4,
    });
    await write((room) => (room.name = 'pink'), 2);
    expect(await rooms.ann.receive()).to.deep.include({
      action: 'update',
      data: { id: 2, name: 'pink', archived: false },
    });
    await write((room) => (room.archived = true), 2);
    expect(await rooms.ann.receive()).to.deep.equal({
      errors: [],
      data: { pk: 2 },
      action: 'delete',
      response_status: 204,
      request_id: 4,
    });
    await remove(2);
    await rooms.ann.expectSilence();
  });

  it('tells rows that are created and deleted where they match', async () => {
    await follow({ name: { istarts_with: 'GR' } });
    rooms.em.create(Room, { name: 'green' });
    rooms.em.create(Room, { name: 'black' });
    await rooms.em.flush();
    expect(await rooms.ann.receive()).to.deep.include({
      action: 'create',
      data: { id: 3, name: 'green', archived: false },
    });
    await remove(3);
    await remove(4);
    expect(await rooms.ann.receive()).to.deep.include({ action: 'delete', data: { pk: 3 } });
    await rooms.ann.expectSilence();
  });

  it('takes all fields that the row holds together, relations by key, and their operators', async () => {
    await follow({ host: { not: 1 }, id: { lte: 1 } }, { request_id: 'not ann' });
    await follow({ host: [1, 2], archived: false }, { request_id: 'hosted' });
    await write((room) => (room.host = rooms.em.getReference(User, 1)));
    const first = [await rooms.ann.receive(), await rooms.ann.receive()];
    expect(first.map(({ request_id, action }) => [request_id, action])).to.have.deep.members([
      ['not ann', 'delete'],
      ['hosted', 'create'],
    ]);
    await write((room) => (room.host = rooms.em.getReference(User, 2)));
    const second = [await rooms.ann.receive(), await rooms.ann.receive()];
    expect(second.map(({ request_id, action }) => [request_id, action])).to.have.deep.members([
      ['not ann', 'create'],
      ['hosted', 'update'],
    ]);
    await rooms.ann.expectSilence();
  });

  it('tells all rows without a filter', async () => {
    await follow();
    await write((room) => (room.name = 'navy'), 2);
    expect(await rooms.ann.receive()).to.include({ action: 'update' });
  });

  for (const { title, filter, errors } of [
    {
      title: 'a field that is not declared',
      filter: { secret: 1 },
      errors: {
        'filter.secret': [
          '"secret" is not known here. Known names are id, archived, name, host, host.username, members.',
        ],
      },
    },
    {
      title: 'a field that a relation leads to',
      filter: { 'host.username': 'ann' },
      errors: {
        'filter.host.username': ['Subscriptions filter by columns of the row itself, not by columns of its relations.'],
      },
    },
    {
      title: 'a relation to many',
      filter: { members: 1 },
      errors: {
        'filter.members': ['Subscriptions filter by columns of the row itself, not by columns of its relations.'],
      },
    },
    {
      title: 'a value that the column cannot hold',
      filter: { archived: 'yes' },
      errors: { 'filter.archived': ['Must be a valid boolean.'] },
    },
  ]) {
    it(`answers 400 to ${title}`, async () => {
      expect(await follow(filter)).to.deep.include({ response_status: 400, errors: [errors] });
    });
  }

  it('answers 400 without a request id', async () => {
    expect(await follow({ archived: false }, { request_id: undefined })).to.include({ response_status: 400 });
  });

  it('tells a row once to a request id that asks by two filters, as long as one of them lets it through', async () => {
    await follow({ archived: true });
    await follow({ name: 'blue' });
    await write((room) => (room.archived = false), 2);
    expect(await rooms.ann.receive()).to.include({ action: 'update' });
    await write((room) => (room.name = 'navy'), 2);
    expect(await rooms.ann.receive()).to.include({ action: 'delete' });
    await rooms.ann.expectSilence();
  });

  it('ends one filter of a request id, whatever the order of its fields, or all of the request id', async () => {
    await follow({ archived: true, name: 'blue' });
    await follow({ archived: false });
    rooms.ann.send({ action: 'unsubscribe_rows', request_id: 4, filter: { name: 'blue', archived: true } });
    expect(await rooms.ann.receive()).to.deep.include({ response_status: 204, data: null });
    await remove(2);
    await rooms.ann.expectSilence();
    await write((room) => (room.name = 'pink'));
    expect(await rooms.ann.receive()).to.include({ action: 'update' });
    rooms.ann.send({ action: 'unsubscribe_rows', request_id: 4 });
    await rooms.ann.receive();
    await write((room) => (room.name = 'crimson'));
    await rooms.ann.expectSilence();
  });

  for (const where of ['/current/', '/judged/']) {
    it(`tells of what comes into sight and leaves it, and nothing of what is out of sight, at ${where}`, async () => {
      await using bob = await connect(rooms.app, where);
      await follow({ id: [2] }, {}, bob);
      await write((room) => (room.name = 'navy'), 2);
      await bob.expectSilence();
      await write((room) => (room.archived = false), 2);
      expect(await bob.receive()).to.deep.include({ action: 'create', data: { id: 2, name: 'navy', archived: false } });
      await write((room) => (room.archived = true), 2);
      expect(await bob.receive()).to.deep.include({ action: 'delete', data: { pk: 2 } });
      await write((room) => (room.name = 'black'), 2);
      await bob.expectSilence();
    });
  }

  async function draft(values: Partial<Draft>): Promise<Draft> {
    const made = rooms.em.create(Draft, { text: 'a', ...values });
    await rooms.em.flush();
    return made;
  }

  it('tells nothing of rows that a default filter of the ORM hides, and of what comes out of it and goes into it', async () => {
    await using bob = await connect(rooms.app, '/drafts/');
    await follow(undefined, {}, bob);
    const one = await draft({
      deleted: true,
      image: Buffer.from([0, 255]),
      extra: { a: [1, '"'] },
      words: ['a "b"', ''],
    });
    one.text = 'b';
    await rooms.em.flush();
    await bob.expectSilence();
    one.deleted = false;
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'create', data: { id: 1, text: 'b' } });
    one.text = 'c';
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'update', data: { id: 1, text: 'c' } });
    one.deleted = true;
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    rooms.em.remove(one);
    await rooms.em.flush();
    await bob.expectSilence();
  });

  it('follows a column that reads leave out', async () => {
    await using bob = await connect(rooms.app, '/drafts/');
    await follow({ weight: { gt: 2 } }, {}, bob);
    const one = await draft({ weight: 2 });
    await bob.expectSilence();
    one.weight = 3;
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'create' });
    one.weight = null;
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'delete' });
  });

  it('asks the query of the row as it was with the values that the database has', async () => {
    await using bob = await connect(rooms.app, '/large/');
    await follow(undefined, {}, bob);
    const { id } = await draft({ ratio: 1.5 });
    expect(await bob.receive()).to.deep.include({ action: 'create' });
    await rooms.em.execute(`update draft set ratio = 'Infinity'`);
    (await rooms.em.findOneOrFail(Draft, id, { refresh: true })).text = 'large';
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'update', data: { id, text: 'large' } });
    await rooms.em.execute(`update draft set spot = '(1,2)'`);
    (await rooms.em.findOneOrFail(Draft, id, { refresh: true })).text = 'there';
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'update', data: { id, text: 'there' } });
  });

  it('does not tell of a row that leaves the query by a column that the change log lacks', async () => {
    await using bob = await connect(rooms.app, '/secrets/');
    await follow(undefined, {}, bob);
    const one = await draft({});
    expect(await bob.receive()).to.deep.include({ action: 'create' });
    one.text = 'b';
    await rooms.em.flush();
    expect(await bob.receive()).to.deep.include({ action: 'update' });
    one.secret = 's';
    one.text = 'c';
    await rooms.em.flush();
    await bob.expectSilence();
  });

  it('asks the permissions again for each event, with the action and the kwargs that subscribed', async () => {
    await using bob = await connect(rooms.app, '/granted/');
    expect(await follow({ archived: false }, {}, bob)).to.include({ response_status: 201 });
    await write((room) => (room.name = 'pink'));
    expect(await bob.receive()).to.include({ action: 'update' });
    isGranted = false;
    await write((room) => (room.name = 'navy'));
    await bob.expectSilence();
  });

  it('judges what another process writes as what its own writes', async () => {
    const other = createApp({ orm: second.orm, routes: [path('/rooms/', WritingConsumer)] });
    await other.start();
    await using writer = await connect(other, '/rooms/');
    await follow({ archived: true });
    await writer.request('patch', { pk: 1, data: { archived: true } });
    expect(await rooms.ann.receive()).to.deep.include({
      action: 'create',
      data: { id: 1, name: 'red', archived: true },
    });
    await writer.request('patch', { pk: 1, data: { archived: false } });
    expect(await rooms.ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    await other.close();
  });

  it('tells two connections that write the same row at once in the order of their commits', async () => {
    await follow({ archived: false });
    const writers = [database.orm.em.fork(), database.orm.em.fork()];
    for (let round = 0; round < 5; round += 1)
      await Promise.all(
        writers.map((writer, index) =>
          writer.transactional(async (inner) => {
            const room = await inner.findOneOrFail(Room, 1, { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true });
            room.archived = !room.archived;
            room.name = `red ${round} ${index}`;
          }),
        ),
      );
    const actions: unknown[] = [];
    for (let event = 0; event < 10; event += 1) actions.push((await rooms.ann.receive()).action);
    expect(actions).to.deep.equal(Array.from({ length: 5 }, () => ['delete', 'create']).flat());
    await rooms.ann.expectSilence();
  });

  it('is refused at start-up where no filter is declared, or all of them lead through relations', () => {
    expect(() => mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveRows)).to.throw(
      'ObserveRows: is mixed into a consumer of Room that declares no filters, so that clients could not say which rows they follow. ' +
        "Declare some: ModelConsumer(Entity, { serializer, filters: { fields: ['archived'] } }), or mix in ObserveKinds.",
    );
    @Consumer()
    class FarConsumer extends mix(
      ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: ['host.username', 'members'] } }),
      ObserveRows,
    ) {}
    expect(() => createApp({ orm: database.orm, routes: [path('/far/', FarConsumer)] })).to.throw(
      'FarConsumer.subscribeRows: follows rows by filters, and all of them lead through relations, whose changes no subscription hears of. ' +
        'Declare a column of the row in filters.fields, or leave ObserveRows out.',
    );
  });
});
