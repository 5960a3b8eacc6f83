import { EntityManager } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { IsInt, IsUUID } from 'class-validator';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  createApp,
  DetailAction,
  ModelConsumer,
  ModelSerializer,
  mix,
  type Permission,
  Permissions,
  path,
  Retrieve,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';

@Entity()
class Parcel {
  @PrimaryKey({ type: 'uuid' }) id!: string;
  @Property({ type: 'bigint' }) weight!: bigint;
}

@injectable()
class ParcelSerializer extends ModelSerializer(Parcel, { fields: ['id', 'weight'] }) {}

class ParcelKey {
  @IsUUID() parcel!: string;
}

class Weight {
  @IsInt() grams!: number;
}

const first = '7f1d0bd4-3f5b-4a5c-9a63-0a3a5a6d8a01';

let seen: Record<string, unknown>[] = [];

/** Asks the database by what came, as an application's permission does. */
@injectable()
class IsThere implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission({ kwargs }: ActionContext) {
    seen.push({ ...kwargs });
    return (await this.em.count(Parcel, { id: String(kwargs['parcel'] ?? kwargs['pk']) })) > 0;
  }
}

class IsClosed implements Permission {
  hasPermission() {
    return false;
  }
}

@Consumer()
@Permissions(IsThere)
class ParcelConsumer extends mix(ModelConsumer(Parcel, { serializer: ParcelSerializer }), Retrieve) {
  @Action() async weigh({ parcel }: ParcelKey) {
    return { parcel };
  }

  @DetailAction() async reweigh(parcel: Parcel, { grams }: Weight, { kwargs }: ActionContext) {
    return { before: parcel.weight, grams, kwargs };
  }
}

@Consumer()
@Permissions(IsClosed, IsThere)
class GuardedConsumer extends mix(ModelConsumer(Parcel, { serializer: ParcelSerializer }), Retrieve) {
  @Action() async weigh({ parcel }: ParcelKey) {
    return { parcel };
  }
}

describe('kwargs that a permission looks at', () => {
  const database = useDatabase('checked_kwargs', [Parcel]);
  let app: App;
  let logger: MemoryLogger;
  let parcels: TestConnection;
  let guarded: TestConnection;

  beforeEach(async () => {
    seen = [];
    await database.orm.em.fork().insert(Parcel, { id: first, weight: 5n });
    const providers = testProviders();
    ({ logger } = providers);
    app = createApp({
      orm: database.orm,
      container: providers.container,
      routes: [path('/parcels/', ParcelConsumer), path('/guarded/', GuardedConsumer)],
    });
    parcels = await connect(app, '/parcels/');
    guarded = await connect(app, '/guarded/');
  });
  afterEach(() => app.close());

  it('are checked by the rules of the action: a bad uuid is answered 400, and no statement fails', async () => {
    const reply = await parcels.request('weigh', { parcel: 'x' });

    expect(reply).to.deep.include({ response_status: 400, errors: [{ parcel: ['parcel must be a UUID.'] }] });
    expect(seen).to.deep.equal([]);
    expect(logger.entries.filter(({ level }) => level === 'error' || level === 'warn')).to.deep.equal([]);
  });

  it('are a key of the model where they name an object: another one is answered 404', async () => {
    const reply = await parcels.request('retrieve', { pk: 'x' });

    expect(reply).to.deep.include({ response_status: 404 });
    expect(seen).to.deep.equal([]);
    expect(logger.entries.filter(({ level }) => level === 'error' || level === 'warn')).to.deep.equal([]);
  });

  it('are those of the entity: a key in capitals is the key of the row', async () => {
    const reply = await parcels.request('reweigh', { pk: first.toUpperCase(), grams: 7 });

    expect(reply).to.deep.include({ response_status: 200 });
    expect(seen).to.deep.equal([{ pk: first, grams: 7 }]);
  });

  it('come as they were sent where the action does not know them', async () => {
    const reply = await parcels.request('reweigh', { pk: first, grams: 7, colour: 'red' });

    expect(reply['data']).to.deep.equal({ before: '5', grams: 7, kwargs: { pk: first, grams: 7, colour: 'red' } });
  });

  it('are not checked aloud for a client that is refused without a look at them', async () => {
    const reply = await guarded.request('weigh', { parcel: 'x' });

    expect(reply).to.deep.include({ response_status: 403 });
  });

  it('end the request with what is wrong with them, and the permission sees none', async () => {
    const reply = await parcels.request('reweigh', { pk: first, grams: 'heavy' });

    expect(reply).to.deep.include({ response_status: 400 });
    expect(seen).to.deep.equal([]);
  });
});
