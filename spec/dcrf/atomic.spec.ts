import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsBoolean, IsInt, IsOptional, IsString } from 'class-validator';
import {
  Action,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  Detached,
  NotFound,
  OnMessage,
  path,
  type Settings,
  ValidationFailed,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { failure, reply } from '../support/frames.js';
import { useServer } from '../support/serving.js';
import { Thing, thingModels } from '../support/things.js';

class Rename {
  @IsInt()
  pk!: number;

  @IsString()
  name!: string;

  @IsOptional()
  @IsBoolean()
  fail?: boolean;
}

let seen: unknown[] = [];

@Consumer()
class ThingConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ atomic: true })
  async renameAtomic({ pk, name, fail }: Rename) {
    const thing = await this.em.findOne(Thing, pk);
    if (!thing) throw new NotFound();
    thing.name = name;
    await this.em.flush();
    if (fail) throw ValidationFailed.of({ name: ['refused after save'] });
    return { pk, in_atomic: this.em.isInTransaction() };
  }

  @Action()
  async retrieve({ pk }: Rename) {
    return (await this.em.findOneOrFail(Thing, pk)).name;
  }

  @Action()
  async simpleAction() {
    return this.em.isInTransaction();
  }

  @Action({ atomic: true })
  syncAtomic() {
    return this.em.isInTransaction();
  }

  @Action({ atomic: false })
  syncLoose() {
    return this.em.isInTransaction();
  }

  @Action()
  syncUsual() {
    return this.em.isInTransaction();
  }

  @Action()
  startInTransaction({ pk, name }: Rename) {
    void this.look(pk);
    this.em.persist(this.em.create(Thing, { id: pk, name }));
  }

  @Action()
  async joinLobby() {
    await this.addGroup('lobby');
  }

  @Action({ atomic: true })
  async tell({ pk, name }: Rename) {
    this.em.create(Thing, { id: pk, name });
    await this.em.flush();
    await this.sendToGroup('lobby', { type: 'told', pk });
    throw new NotFound();
  }

  @OnMessage('told')
  protected async onTold({ pk }: { readonly type: 'told'; readonly pk: number }) {
    seen.push(this.em.isInTransaction(), (await this.em.findOne(Thing, pk))?.name);
    this.sendJson('told');
  }

  @Detached()
  protected async look(pk: number) {
    seen.push(this.em.isInTransaction(), (await this.em.findOne(Thing, pk))?.name);
    this.sendJson('looked');
  }
}

describe('DCRF: atomic actions', () => {
  const database = useDatabase('dcrf_atomic', thingModels);
  const serve = useServer();

  beforeEach(() => {
    seen = [];
  });

  async function open(settings: Partial<Settings> = {}): Promise<App> {
    return serve([path('/', ThingConsumer)], { orm: database.orm, settings }).app;
  }

  it('S086 commits on return, and rolls back what an error reply tells of', async () => {
    await database.orm.em.fork().insert(Thing, { id: 1, name: 'alpha' });
    await using a = await connect(await open(), '/');
    a.send({ action: 'rename_atomic', pk: 1, name: 'atomic-ok', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('rename_atomic', { pk: 1, in_atomic: true }));
    a.send({ action: 'rename_atomic', pk: 1, name: 'atomic-bad', fail: true, request_id: 2 });
    expect(await a.receive()).to.deep.equal(
      failure('rename_atomic', 400, 'validation_failed', { name: ['refused after save'] }, 2),
    );
    a.send({ action: 'retrieve', pk: 1, name: '', request_id: 3 });
    expect(await a.receive()).to.deep.equal(reply('retrieve', 'atomic-ok', 3));
  });

  it('S087 (differs) runs an async action without a transaction, unless the settings say otherwise', async () => {
    await using a = await connect(await open({ syncActionsAtomic: true }), '/');
    expect((await a.request('simple_action')).data).to.equal(false);
    await using b = await connect(await open({ asyncActionsAtomic: true }), '/');
    expect((await b.request('simple_action')).data).to.equal(true);
  });

  it('S089 runs a sync action that is atomic in a transaction', async () => {
    await using a = await connect(await open(), '/');
    expect((await a.request('sync_atomic')).data).to.equal(true);
  });

  it('S090 runs a sync action that is not atomic in none', async () => {
    await using a = await connect(await open(), '/');
    expect((await a.request('sync_loose')).data).to.equal(false);
  });

  it('S091 (differs) runs any other sync action as the settings say', async () => {
    await using a = await connect(await open(), '/');
    expect((await a.request('sync_usual')).data).to.equal(true);
    await using b = await connect(await open({ syncActionsAtomic: false }), '/');
    expect((await b.request('sync_usual')).data).to.equal(false);
  });

  it('S092 (differs) refuses a detached action that is not async where the class is defined', () => {
    expect(() => {
      class Wrong extends ApiConsumer {
        @Action({ detached: true }) export() {}
      }
      return Wrong;
    }).to.throw(
      ConfigurationError,
      'Wrong.export: is detached, and no async function: it would hold up everybody until it returned. Make it async.',
    );
  });

  it('keep their transaction from the consumers that they send messages to', async () => {
    const app = await open();
    await using a = await connect(app, '/');
    await using b = await connect(app, '/');
    await b.request('join_lobby');
    expect(await a.request('tell', { pk: 8, name: 'undone' })).to.include({ response_status: 404 });
    expect(await b.receive()).to.equal('told');
    expect(seen).to.deep.equal([false, undefined]);
  });

  it('keep their transaction from the detached methods that they start, which see what was committed', async () => {
    await using a = await connect(await open(), '/');
    expect(await a.request('start_in_transaction', { pk: 7, name: 'new' })).to.include({ response_status: 200 });
    expect(await a.receive()).to.equal('looked');
    expect(seen).to.deep.equal([false, 'new']);
  });
});
