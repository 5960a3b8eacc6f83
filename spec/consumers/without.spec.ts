import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  Create,
  createApp,
  Delete,
  DetailAction,
  InMemoryChannelLayer,
  ModelConsumer,
  mix,
  path,
  Retrieve,
  without,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { compileConsumer } from '#signalbox/consumers/compiled-consumer.js';
import { declaredActions } from '#signalbox/dispatch/actions.js';
import { toAsyncApi } from '#signalbox/explorer/asyncapi.js';
import { defaultSettings } from '#signalbox/settings.js';
import { Room } from '../support/entities.js';
import { failure, reply } from '../support/frames.js';
import { offlineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';
import { RoomSerializer } from '../support/rooms.js';

@injectable()
class Clerk {
  greet() {
    return 'hello';
  }
}

class Nobody {
  hasPermission() {
    return false;
  }
}

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), Retrieve, Create, Delete) {
  constructor(readonly clerk: Clerk) {
    super();
  }

  @Action({ name: 'hail' })
  async greet() {
    return this.clerk.greet();
  }

  @DetailAction({ permissions: [Nobody] })
  async shut(_room: Room) {}
}

@Consumer()
class ArchiveConsumer extends without(RoomConsumer, 'create', 'delete', 'greet', 'shut') {
  @Action()
  async welcome() {
    return `${await this.greet()} again`;
  }
}

type AnyConsumer = Parameters<typeof compileConsumer>[0];

const compile = (consumer: AnyConsumer) => compileConsumer(consumer, consumer.name, [], defaultSettings);
const actionNames = (consumer: AnyConsumer) => [...declaredActions(consumer).keys()];

describe('A consumer without some of its inherited actions', () => {
  let orm: MikroORM;
  let app: App;

  before(async () => {
    orm = await offlineOrm([Room]);
    app = createApp({
      orm,
      container: testProviders().container,
      channelLayer: new InMemoryChannelLayer(),
      routes: [path('/archive/', ArchiveConsumer), path('/rooms/', RoomConsumer)],
    });
  });
  after(async () => {
    await app.close();
    await orm.close(true);
  });

  it('answers 405 to them, by the name on the wire and by that of the method', async () => {
    await using ann = await connect(app, '/archive/');
    for (const action of ['delete', 'create', 'hail', 'greet', 'shut'])
      expect(await ann.request(action, { request_id: 1 })).to.deep.equal(
        failure(action, 405, 'action_not_found', `Method "${action}" not allowed.`),
      );
  });

  it('has their methods for its own code, and providers like the class that it extends', async () => {
    await using ann = await connect(app, '/archive/');
    expect(await ann.request('welcome', { request_id: 1 })).to.deep.equal(reply('welcome', 'hello again'));
  });

  it('leaves them to the class that it extends', async () => {
    await using ann = await connect(app, '/rooms/');
    expect(await ann.request('hail', { request_id: 1 })).to.deep.equal(reply('hail', 'hello'));
  });

  it('is described without them, for the explorer, `signalbox routes` and AsyncAPI', () => {
    const description = app.describe();
    const [archive] = description.routes.flatMap(({ streams }) => streams);
    expect(archive?.actions.map(({ name }) => name)).to.deep.equal(['retrieve', 'welcome']);
    expect(JSON.stringify(toAsyncApi(description, { title: 'archive', version: '1' }).operations)).to.not.match(
      /archive[^"]*(delete|create|hail|shut)/,
    );
  });

  it('may be extended, and declare one anew where its types are left aside', () => {
    class Fewer extends without(ArchiveConsumer, 'welcome') {}
    class Base extends (Fewer as unknown as typeof ApiConsumer) {}
    @Consumer()
    class Anew extends Base {
      @Action() async greet() {
        return 'hi';
      }
    }
    expect(actionNames(Fewer)).to.deep.equal(['retrieve']);
    expect(actionNames(Anew)).to.deep.equal(['retrieve', 'greet']);
  });

  it('asks for no permission of theirs', () => {
    expect(compile(ArchiveConsumer).isOpen).to.equal(true);
    expect(compile(RoomConsumer).isOpen).to.equal(false);
  });

  const refused: readonly [string, string][] = [
    [
      'delte',
      'without(RoomConsumer).delte: is to be taken away, and is no action of the class. Correct or drop the name. There are: retrieve, create, delete, greet, shut.',
    ],
    [
      'getObject',
      'without(RoomConsumer).getObject: is to be taken away, and is no action of the class. Correct or drop the name. There are: retrieve, create, delete, greet, shut.',
    ],
  ];
  for (const [name, text] of refused) {
    it(`is refused where the class is defined: ${name}`, () => {
      expect(() => without(RoomConsumer, name as 'delete'))
        .to.throw(ConfigurationError)
        .with.property('message', text);
    });
  }

  it('is refused with the name of the method where that on the wire is given', () => {
    class Base extends ApiConsumer {
      @Action() async createMessage() {}
    }
    expect(() => without(Base, 'create_message' as 'createMessage')).to.throw(
      ConfigurationError,
      "without(Base).create_message: is to be taken away, and is no action of the class. Name the method: 'createMessage'.",
    );
  });
});
