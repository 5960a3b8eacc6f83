import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppOptions,
  Consumer,
  Create,
  closeOn,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  type Permission,
  Permissions,
  path,
  RevokedBy,
  type Route,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { append } from '#signalbox/log/log-writer.js';
import type { RowNote } from '#signalbox/orm/change-capture.js';
import { RowReader } from '#signalbox/orm/row-reader.js';
import { writeConnection } from '#signalbox/orm/statements.js';
import { defaultSettings } from '#signalbox/settings.js';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Message, Room } from '../support/entities.js';
import { RoomMessageSerializer, RoomWatcher } from '../support/rooms.js';
import { UserOfAddress, useServer } from '../support/serving.js';

@injectable()
class MayHear implements Permission {
  hasPermission() {
    return true;
  }
}

@Consumer()
class MessageConsumer extends mix(ModelConsumer(Message, { serializer: RoomMessageSerializer }), Create) {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context);
  }
  @ModelObserver(() => Message, { serializer: RoomMessageSerializer })
  async onMessage(event: ModelEvent<RoomMessageSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

/** Messages take the right to hear of rooms away. */
@Consumer()
@Permissions(MayHear)
class RevocableConsumer extends RoomWatcher {
  @RevokedBy('onRoom', () => Message) protected *revokedByMessage() {
    yield 'all';
  }
}

@Consumer()
class IdleConsumer extends ApiConsumer {
  @Action() async hello() {}
}

const long = 'x'.repeat(500);

describe('A commit that is too large for the change log', () => {
  const database = useDatabase('untold_rows');
  const second = useSecondOrm(database);
  const server = useServer();
  let logger: MemoryLogger;

  beforeEach(async () => {
    await database.orm.em.execute(`insert into room (id, name, archived) values (1, 'lobby', false)`);
    await database.orm.em.execute('alter sequence room_id_seq restart with 2');
  });

  async function serve(options: Partial<AppOptions<readonly Route[]>> = {}): Promise<App> {
    const middleware = [UserOfAddress];
    const routes = [
      path('/messages/', MessageConsumer, { middleware }),
      path('/rooms/', RoomWatcher, { middleware }),
      path('/revocable/', RevocableConsumer, { middleware }),
      path('/idle/', IdleConsumer, { middleware }),
    ];
    const settings = { changeLog: { largestEntry: 400 } };
    const served = server(routes, { orm: database.orm, settings, ...options });
    logger = served.logger;
    await served.app.start();
    return served.app;
  }

  async function watching(app: App, route: string): Promise<TestConnection> {
    const client = await connect(app, route);
    expect(await client.request('watch', { request_id: 1 })).to.include({ response_status: 201 });
    return client;
  }

  async function addMessage(em: EntityManager, text: string): Promise<void> {
    em.create(Message, { room: 1, text });
    await em.flush();
  }

  async function addRoom(name: string): Promise<void> {
    const em = database.orm.em.fork();
    em.create(Room, { name });
    await em.flush();
  }

  const closed = (client: TestConnection): Promise<number> => within(client.closed, 'The close');
  const isAnswered = async (client: TestConnection): Promise<boolean> =>
    (await client.request('hello')).response_status === 200;
  const namesOf = ({ frames }: TestConnection): readonly unknown[] =>
    frames.flatMap(({ data }) => (data as { readonly name?: string } | null)?.name ?? []);

  it('stands, and closes the clients that would have heard of its rows with 1013, and no others', async () => {
    const app = await serve();
    await using ann = await watching(app, '/messages/');
    await using bob = await watching(app, '/revocable/');
    await using cid = await watching(app, '/rooms/');
    await using eve = await connect(app, '/idle/?user=1');
    await addMessage(database.orm.em.fork(), long);
    await app.idle();
    expect([await closed(ann), await closed(bob)]).to.deep.equal([1013, 1013]);
    await addRoom('attic');
    await app.idle();
    expect(namesOf(cid)).to.deep.equal(['attic']);
    expect(await isAnswered(eve)).to.equal(true);
    expect(await database.orm.em.fork().count(Message, { text: long })).to.equal(1);
    expect(logger.at('warn').map(({ fields }) => fields)).to.deep.equal([
      { reason: 'A transaction changed rows of Message that cannot be sent as events.', connections: 2 },
    ]);
  });

  it('closes them also where one statement has written it', async () => {
    const app = await serve();
    await using ann = await watching(app, '/messages/');
    await using cid = await watching(app, '/rooms/');
    await using writer = await connect(app, '/messages/');
    const made = await writer.request('create', { data: { room: 1, text: long } });
    expect(made).to.include({ response_status: 201 });
    expect(await closed(ann)).to.equal(1013);
    await addRoom('attic');
    await app.idle();
    expect(namesOf(cid)).to.deep.equal(['attic']);
  });

  it('closes them in the other processes too', async () => {
    await serve();
    const other = await serve({ orm: second.orm });
    await using ann = await watching(other, '/messages/');
    await using cid = await watching(other, '/rooms/');
    await addMessage(database.orm.em.fork(), long);
    expect(await closed(ann)).to.equal(1013);
    await addRoom('attic');
    await other.idle();
    expect(namesOf(cid)).to.deep.equal(['attic']);
  });

  it('closes the connections of users where a rule would have acted on its rows', async () => {
    const app = await serve({ connections: [closeOn(Message, { user: ({ user }) => user?.id })] });
    await using ann = await connect(app, '/idle/?user=1');
    await using bob = await connect(app, '/idle/');
    await addMessage(database.orm.em.fork(), long);
    await app.idle();
    expect(await closed(ann)).to.equal(1013);
    expect(await isAnswered(bob)).to.equal(true);
  });

  it('says which models it has changed, also where it has more than 100,000 rows', async () => {
    await serve();
    const { em } = database.orm;
    const reader = new RowReader(() => ({ shown: new Set(), compared: new Set() }));
    const note: RowNote = {
      meta: em.getMetadata(Message),
      schema: undefined,
      key: [1],
      wasThere: true,
      withMembers: false,
    };
    const rows = new Map(Array.from({ length: 100_001 }, (_, index) => [String(index), note]));
    const stage = { rows, signals: [], rechecks: [] };
    const connection = writeConnection(em).getClient();
    const id = await append(em, connection, reader, stage, defaultSettings.changeLog, undefined);
    const [row] = await em.execute<{ entries: string }[]>('select entries from signalbox.log where id = ?', [id]);
    expect(JSON.parse(row?.entries ?? '')).to.deep.equal({ v: 1, rows: [], after: [], untold: ['Message'] });
  });
});
