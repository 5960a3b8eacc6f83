import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt, IsUUID } from 'class-validator';
import {
  Action,
  ActionContext,
  Consumer,
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
import { useServer } from '../support/serving.js';
import { Label, trackerModels } from '../support/tracker.js';

@injectable()
class LabelSerializer extends ModelSerializer(Label, { fields: ['uuid', 'weight'] }) {}

class LabelKey {
  @IsUUID() label!: string;
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
    return (await this.em.count(Label, { uuid: String(kwargs['label'] ?? kwargs['pk']) })) > 0;
  }
}

class IsClosed implements Permission {
  hasPermission() {
    return false;
  }
}

@Consumer()
@Permissions(IsThere)
class LabelConsumer extends mix(ModelConsumer(Label, { serializer: LabelSerializer }), Retrieve) {
  @Action() async weigh({ label }: LabelKey) {
    return { label };
  }

  @DetailAction() async reweigh(label: Label, { grams }: Weight, { kwargs }: ActionContext) {
    return { before: label.weight, grams, kwargs };
  }
}

@Consumer()
@Permissions(IsClosed, IsThere)
class GuardedConsumer extends mix(ModelConsumer(Label, { serializer: LabelSerializer }), Retrieve) {
  @Action() async weigh({ label }: LabelKey) {
    return { label };
  }
}

describe('kwargs that a permission looks at', () => {
  const database = useDatabase('checked_kwargs', trackerModels);
  const serve = useServer();
  let logger: MemoryLogger;
  let labels: TestConnection;
  let guarded: TestConnection;

  beforeEach(async () => {
    seen = [];
    await database.orm.em.fork().insert(Label, { uuid: first, name: 'red', weight: 5 });
    const routes = [path('/labels/', LabelConsumer), path('/guarded/', GuardedConsumer)];
    const { app, ...providers } = serve(routes, { orm: database.orm });
    ({ logger } = providers);
    labels = await connect(app, '/labels/');
    guarded = await connect(app, '/guarded/');
  });

  it('are checked by the rules of the action: a bad uuid is answered 400, and no statement fails', async () => {
    const reply = await labels.request('weigh', { label: 'x' });

    expect(reply).to.deep.include({ response_status: 400, errors: [{ label: ['label must be a UUID.'] }] });
    expect(seen).to.deep.equal([]);
    expect(logger.entries.filter(({ level }) => level === 'error' || level === 'warn')).to.deep.equal([]);
  });

  it('are a key of the model where they name an object: another one is answered 404', async () => {
    const reply = await labels.request('retrieve', { pk: 'x' });

    expect(reply).to.deep.include({ response_status: 404 });
    expect(seen).to.deep.equal([]);
    expect(logger.entries.filter(({ level }) => level === 'error' || level === 'warn')).to.deep.equal([]);
  });

  it('are those of the entity: a key in capitals is the key of the row', async () => {
    const reply = await labels.request('reweigh', { pk: first.toUpperCase(), grams: 7 });

    expect(reply).to.deep.include({ response_status: 200 });
    expect(seen).to.deep.equal([{ pk: first, grams: 7 }]);
  });

  it('come as they were sent where the action does not know them', async () => {
    const reply = await labels.request('reweigh', { pk: first, grams: 7, colour: 'red' });

    expect(reply['data']).to.deep.equal({ before: 5, grams: 7, kwargs: { pk: first, grams: 7, colour: 'red' } });
  });

  it('are not checked aloud for a client that is refused without a look at them', async () => {
    const reply = await guarded.request('weigh', { label: 'x' });

    expect(reply).to.deep.include({
      response_status: 403,
      errors: ['You do not have permission to perform this action.'],
    });
    expect(seen).to.deep.equal([]);
  });

  it('end the request with what is wrong with them, and the permission sees none', async () => {
    const reply = await labels.request('reweigh', { pk: first, grams: 'heavy' });

    expect(reply).to.deep.include({
      response_status: 400,
      errors: [{ grams: ['grams must be an integer number.'] }],
    });
    expect(seen).to.deep.equal([]);
  });
});
