import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  Consumer,
  Delete,
  type Delivery,
  DetailAction,
  ModelConsumer,
  mix,
  ObserveInstance,
  Patch,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  Retrieve,
  type Settings,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { failure, reply } from '../support/frames.js';
import { useServer } from '../support/serving.js';
import { fill, Thing, ThingSerializer, thing, thingModels } from '../support/things.js';

function owns({ scope }: Pick<ActionContext, 'scope'>, owner: unknown): boolean {
  return String(owner) === scope.query.get('person');
}

class IsOwner implements Permission {
  hasObjectPermission(context: ActionContext, { owner }: Thing) {
    return owns(context, owner?.id);
  }
}

class SaysSo implements Permission {
  hasObjectPermission(context: ActionContext, { owner }: Thing) {
    if (!owns(context, owner?.id)) throw new PermissionDenied('Not your thing.');
    return true;
  }
}

/** The question is a field. */
class ReadsOwn implements Permission {
  readonly canReceive = (delivery: Delivery): boolean => owns(delivery, (delivery.data as { owner?: number }).owner);
}

@Consumer()
@Permissions(IsOwner)
class ThingConsumer extends mix(
  ModelConsumer(Thing, { serializer: ThingSerializer }),
  Retrieve,
  Patch,
  Delete,
  ObserveInstance,
) {
  @DetailAction()
  async burn(thing: Thing) {
    return thing.id;
  }
}

@Consumer()
@Permissions(SaysSo)
class OpenConsumer extends mix(ModelConsumer(Thing, { serializer: ThingSerializer }), Retrieve) {}

@Consumer()
@Permissions(ReadsOwn)
class WatchedConsumer extends mix(ModelConsumer(Thing, { serializer: ThingSerializer }), Retrieve, ObserveInstance) {}

describe('DCRF: object permissions', () => {
  const database = useDatabase('dcrf_objects', thingModels);
  const serve = useServer();

  /** Thing 1 is alice's. */
  beforeEach(async () => {
    await fill(database.orm);
    await database.orm.em.fork().nativeUpdate(Thing, { id: 1 }, { owner: 1 });
  });

  async function open(settings: Partial<Settings> = {}): Promise<App> {
    const routes = [path('/', ThingConsumer), path('/open/', OpenConsumer), path('/watched/', WatchedConsumer)];
    return serve(routes, { orm: database.orm, settings }).app;
  }

  const actions = ['retrieve', 'patch', 'delete', 'subscribe_instance', 'burn'];

  it('S084 (differs) asks for the object of every action that has one', async () => {
    await using alice = await connect(await open(), '/?person=1');
    expect(await alice.request('retrieve', { pk: 1, request_id: 1 })).to.deep.equal(
      reply('retrieve', thing(1, 'alpha', { owner: 1 })),
    );
    for (const action of ['subscribe_instance', 'burn', 'patch', 'delete'])
      expect((await alice.request(action, { pk: 1, data: {} })).response_status).to.be.lessThan(300);
  });

  it('S084 (differs) answers for a forbidden row as for an absent one', async () => {
    await using bob = await connect(await open(), '/?person=2');
    for (const action of actions) {
      for (const pk of [1, 404]) {
        expect(await bob.request(action, { pk, data: {}, request_id: action })).to.deep.equal(
          failure(action, 404, 'not_found', 'Not found.', action),
        );
      }
    }
    await bob.expectSilence();
  });

  it('S084 (differs) answers 403 for a forbidden row where the application says so', async () => {
    await using bob = await connect(await open({ revealForbiddenObjects: true }), '/?person=2');
    for (const action of actions) {
      expect(await bob.request(action, { pk: 1, data: {} })).to.include({ response_status: 403 });
      expect(await bob.request(action, { pk: 404, data: {} })).to.include({ response_status: 404 });
    }
  });

  it('S084 (differs) answers with what the permission itself throws', async () => {
    await using bob = await connect(await open(), '/open/?person=2');
    expect(await bob.request('retrieve', { pk: 1, request_id: 1 })).to.deep.equal(
      failure('retrieve', 403, 'permission_denied', 'Not your thing.'),
    );
  });

  it('S084 (differs) asks again at every delivery, also where the question is a field', async () => {
    const app = await open();
    await using alice = await connect(app, '/watched/?person=1');
    await alice.request('subscribe_instance', { pk: 1, request_id: 's' });
    const em = database.orm.em.fork();
    const alpha = await em.findOneOrFail(Thing, 1);
    alpha.name = 'dearest';
    await em.flush();
    expect(await alice.receive()).to.deep.equal(reply('update', thing(1, 'dearest', { owner: 1 }), 's'));
    em.assign(alpha, { owner: 2 });
    await em.flush();
    await alice.expectSilence();
  });
});
