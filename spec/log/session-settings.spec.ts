import { EntityManager as Manager } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { IsNumber } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  BulkPatch,
  Consumer,
  GroupsForBoth,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  Patch,
  path,
  Retrieve,
  type Subscription,
  writeChangeLog,
} from 'signalbox';
import { connect, MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { addressOf, connectOrm, emptyDatabase, useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { useServer } from '../support/serving.js';

@Entity()
class Sample {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'date' }) day!: string;
  @Property({ type: 'datetime' }) at!: Date;
  @Property({ type: 'double' }) weight!: number;
  @Property({ columnType: 'interval' }) pause!: string;
}

@injectable()
class SampleSerializer extends ModelSerializer(Sample, { fields: ['id', 'day', 'at', 'weight', 'pause'] }) {}

class Weight {
  @IsNumber() weight!: number;
}

@Consumer()
class SampleConsumer extends mix(ModelConsumer(Sample, { serializer: SampleSerializer }), Retrieve, Patch, BulkPatch) {
  constructor(private readonly em: Manager) {
    super();
  }

  @Action({ status: 201 })
  async watch(kwargs: Weight, context: ActionContext) {
    await this.subscribe(this.onSample, kwargs, context);
  }
  @ModelObserver(() => Sample, { serializer: SampleSerializer })
  async onSample(event: ModelEvent<SampleSerializer>, subscription: Subscription<Weight>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onSample') protected *groupsOfWeight({ weight }: Sample | Weight) {
    yield `weight-${weight}`;
  }

  /** @returns a setting of the transaction, behind a flush for which the framework has read the row */
  @Action({ atomic: true })
  async weigh({ weight }: Weight) {
    const em = this.em.getContext() as EntityManager;
    for (const [name, value] of foreign) await em.execute(`set local ${name} = '${value}'`);
    const sample = await em.findOne(Sample, 1, { fields: ['weight'] });
    if (sample) sample.weight = weight;
    else em.create(Sample, { ...stored, weight });
    await em.flush();
    return em.execute(`select current_setting('datestyle') as style, weight::text from sample`);
  }
}

const foreign = [
  ['datestyle', 'German'],
  ['intervalstyle', 'iso_8601'],
  ['extra_float_digits', '0'],
  ['timezone', 'Asia/Tokyo'],
] as const;

/** A weight that fifteen digits do not tell from 0.3. */
const heavy = 0.30000000000000004;
const stored = { id: 1, day: '2026-02-03', at: new Date('2026-02-03T04:05:06.789Z'), weight: heavy, pause: '1 day' };
const shown = { ...stored, at: '2026-02-03T04:05:06.789Z', pause: 'P1D' };

describe('Settings of a session', () => {
  const database = useDatabase('session_settings', [Sample]);
  const server = useServer();
  const orms: MikroORM[] = [];

  afterEach(async () => {
    await Promise.all(orms.splice(0).map((orm) => orm.close(true)));
  });

  async function open(driverOptions: object): Promise<MikroORM> {
    const orm = await connectOrm(addressOf(database), { entities: [Sample], driverOptions });
    orms.push(orm);
    return orm;
  }

  async function serve(orm: MikroORM): Promise<App> {
    const { app } = server([path('/', SampleConsumer)], { orm });
    await app.start();
    return app;
  }

  async function following(client: TestConnection, weight: number): Promise<void> {
    const reply = await client.request('watch', { weight, request_id: `${weight}` });
    expect(reply).to.include({ response_status: 201 });
  }

  const heard = async (client: TestConnection): Promise<unknown> => {
    const { action, data } = await client.receive({ timeout: patience });
    return { action, data };
  };

  it('of a transaction change nothing of what is told of it, nor of whom it is told to', async () => {
    await emptyDatabase(database.orm);
    const app = await serve(database.orm);
    await using ann = await connect(app, '/');
    await following(ann, heavy);
    await using bob = await connect(app, '/');
    await bob.request('weigh', { weight: heavy });
    expect(await heard(ann)).to.deep.equal({ action: 'create', data: shown });
    await bob.request('weigh', { weight: 0.5 });
    expect(await heard(ann)).to.deep.equal({ action: 'delete', data: { pk: 1 } });
  });

  it('of a transaction are its own again behind each statement of the framework', async () => {
    const em = database.orm.em.fork();
    em.create(Sample, stored);
    await em.flush();
    const app = await serve(database.orm);
    await using ann = await connect(app, '/');
    const { data } = await ann.request('weigh', { weight: 0.1 + 0.7 });
    expect(data).to.deep.equal([{ style: 'German, DMY', weight: '0.8' }]);
  });

  it('that came after the start change nothing of a write by one statement, its reply and its event', async () => {
    const em = database.orm.em.fork();
    em.create(Sample, { ...stored, weight: 0.3 });
    await em.flush();
    const orm = await open({ max: 1 });
    const app = await serve(orm);
    for (const [name, value] of foreign) await orm.em.fork().execute(`set ${name} = '${value}'`);
    await using ann = await connect(app, '/');
    await following(ann, 0.3);
    await following(ann, heavy);
    await using bob = await connect(app, '/');
    const { data } = await bob.request('patch', { pk: 1, data: { weight: heavy } });
    expect(data).to.deep.equal(shown);
    const moved = [await heard(ann), await heard(ann)];
    expect(moved).to.have.deep.members([
      { action: 'delete', data: { pk: 1 } },
      { action: 'create', data: shown },
    ]);
    const bulk = await bob.request('bulk_patch', { data: [{ pk: 1, data: { weight: 0.1 + 0.7 } }] });
    expect(bulk.data).to.deep.equal([{ ...shown, weight: 0.7999999999999999 }]);
    expect(await heard(ann)).to.deep.equal({ action: 'delete', data: { pk: 1 } });
    await bob.request('bulk_patch', { data: [{ pk: 1, data: { weight: heavy } }] });
    expect(await heard(ann)).to.deep.equal({ action: 'create', data: shown });
    // Nothing is written where nothing changes.
    const version = async () => (await database.orm.em.fork().execute('select xmin::text from sample'))[0];
    const before = await version();
    await bob.request('patch', { pk: 1, data: { weight: heavy } });
    await bob.request('bulk_patch', { data: [{ pk: 1, data: { weight: heavy } }] });
    expect(await version()).to.deep.equal(before);
  });

  it('that the driver reads wrongly end the start, with the way out', async () => {
    const options = foreign.slice(0, 3).map(([name, value]) => `-c ${name}=${value}`);
    const orm = await open({ options: options.join(' ') });
    const refused = await writeChangeLog({ orm, logger: new MemoryLogger() }).catch((error: Error) => error.message);
    expect(refused).to.equal(
      "createApp.orm: has sessions with datestyle = 'German, DMY', intervalstyle = 'iso_8601', extra_float_digits = '0', " +
        'whose dates, intervals and numbers the driver reads wrongly, or with lost digits. ' +
        "Give its connections settings that it reads: driverOptions: { options: '-c datestyle=ISO -c intervalstyle=postgres " +
        "-c extra_float_digits=1' }, or run this.\n\n" +
        `alter role "postgres" set datestyle = 'ISO';\n` +
        `alter role "postgres" set intervalstyle = 'postgres';\n` +
        `alter role "postgres" set extra_float_digits = '1';`,
    );
  });
});
