import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  Consumer,
  Delete,
  type Delivery,
  DetailAction,
  ModelConsumer,
  ModelSerializer,
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
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { failure, reply } from '../support/frames.js';
import { useServer } from '../support/serving.js';

@Entity()
class Diary {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  owner!: string;

  @Property({ type: 'string' })
  text!: string;
}

@injectable()
class DiarySerializer extends ModelSerializer(Diary, { fields: ['id', 'owner', 'text'], readOnly: ['id'] }) {}

class IsOwner implements Permission {
  hasObjectPermission({ scope }: ActionContext, object: object) {
    return (object as Diary).owner === scope.query.get('name');
  }
}

class SaysSo implements Permission {
  hasObjectPermission({ scope }: ActionContext, object: object) {
    if ((object as Diary).owner !== scope.query.get('name')) throw new PermissionDenied('Not your diary.');
    return true;
  }
}

/** The question is a field. */
class ReadsOwn implements Permission {
  readonly canReceive = ({ scope, data }: Delivery): boolean =>
    (data as { owner?: string }).owner === scope.query.get('name');
}

@Consumer()
@Permissions(IsOwner)
class DiaryConsumer extends mix(
  ModelConsumer(Diary, { serializer: DiarySerializer }),
  Retrieve,
  Patch,
  Delete,
  ObserveInstance,
) {
  @DetailAction()
  async burn(diary: Diary) {
    return diary.id;
  }
}

@Consumer()
@Permissions(SaysSo)
class OpenDiaryConsumer extends mix(ModelConsumer(Diary, { serializer: DiarySerializer }), Retrieve) {}

@Consumer()
@Permissions(ReadsOwn)
class WatchedDiaryConsumer extends mix(
  ModelConsumer(Diary, { serializer: DiarySerializer }),
  Retrieve,
  ObserveInstance,
) {}

describe('DCRF: object permissions', () => {
  const database = useDatabase('dcrf_objects', [Diary]);
  const serve = useServer();

  beforeEach(() => database.orm.em.fork().insert(Diary, { id: 1, owner: 'ann', text: 'Dear diary' }));

  async function open(settings: Partial<Settings> = {}): Promise<App> {
    const routes = [
      path('/', DiaryConsumer),
      path('/open/', OpenDiaryConsumer),
      path('/watched/', WatchedDiaryConsumer),
    ];
    return serve(routes, { orm: database.orm, settings }).app;
  }

  const actions = ['retrieve', 'patch', 'delete', 'subscribe_instance', 'burn'];

  it('S084 (differs) asks for the object of every action that has one', async () => {
    await using ann = await connect(await open(), '/?name=ann');
    expect(await ann.request('retrieve', { pk: 1, request_id: 1 })).to.deep.equal(
      reply('retrieve', { id: 1, owner: 'ann', text: 'Dear diary' }),
    );
    for (const action of ['subscribe_instance', 'burn', 'patch', 'delete'])
      expect((await ann.request(action, { pk: 1, data: {} })).response_status).to.be.lessThan(300);
  });

  it('S084 (differs) answers for a forbidden row as for an absent one', async () => {
    await using bob = await connect(await open(), '/?name=bob');
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
    await using bob = await connect(await open({ revealForbiddenObjects: true }), '/?name=bob');
    for (const action of actions) {
      expect(await bob.request(action, { pk: 1, data: {} })).to.include({ response_status: 403 });
      expect(await bob.request(action, { pk: 404, data: {} })).to.include({ response_status: 404 });
    }
  });

  it('S084 (differs) answers with what the permission itself throws', async () => {
    await using bob = await connect(await open(), '/open/?name=bob');
    expect(await bob.request('retrieve', { pk: 1, request_id: 1 })).to.deep.equal(
      failure('retrieve', 403, 'permission_denied', 'Not your diary.'),
    );
  });

  it('S084 (differs) asks again at every delivery, also where the question is a field', async () => {
    const app = await open();
    await using ann = await connect(app, '/watched/?name=ann');
    await ann.request('subscribe_instance', { pk: 1, request_id: 's' });
    const em = database.orm.em.fork();
    const diary = await em.findOneOrFail(Diary, 1);
    diary.text = 'Dearest diary';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(reply('update', { id: 1, owner: 'ann', text: 'Dearest diary' }, 's'));
    diary.owner = 'bob';
    await em.flush();
    await ann.expectSilence();
  });
});
