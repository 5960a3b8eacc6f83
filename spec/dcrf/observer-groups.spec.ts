import { expect } from 'chai';
import {
  Consumer,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';
import { queriesOf } from '../support/queries.js';
import { createThing, save, Thing, thingModels, useThings } from '../support/things.js';
import { BothSides, ByShelf, TwoGroups, Watching } from './observer-consumers.js';

/** The groups of a subscription come from who is connected. */
@Consumer()
class Mine extends Watching {
  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onThing') protected *groupsOfThing({ owner }: Thing) {
    if (owner) yield `owner-${owner.id}`;
  }
  @GroupsForConsumer('onThing') protected *groupsOfUser() {
    yield `owner-${this.scope.query.get('user')}`;
  }
}

/** Groups that are none. */
@Consumer()
class Groupless extends Watching {
  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing, { pk: number }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onThing') protected groupsOfThing(_thing: Thing): string[] {
    return undefined as never;
  }
  @GroupsForConsumer('onThing') protected *groupsOfNobody() {
    yield 'all';
  }
}

describe('Groups and moves, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_groups', thingModels);
  const things = useThings(database, [
    path('/ws/shelf/', ByShelf),
    path('/ws/groups-both/', BothSides),
    path('/ws/multi-group/', TwoGroups),
    path('/ws/mine/', Mine),
    path('/ws/groupless/', Groupless),
  ]);

  it('S210 (differs) keeps to the groups that the observer names', async () => {
    await using ann = await connect(things.app, '/ws/groups-both/');
    await ann.request('watch', { shelf: 5, request_id: 1 });
    await createThing(database.orm, 'test', 5);
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 4 }));
    await createThing(database.orm, 'test2', 6);
    await ann.expectSilence();
  });

  it('S211 (differs) takes the groups of each side from a method of its own', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 5, request_id: 1 });
    await createThing(database.orm, 'test', 5);
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'test', shelf: 5 }));
    await createThing(database.orm, 'test2', 6);
    await ann.expectSilence();
  });

  it('S212 (differs) takes the groups of both sides from one method', async () => {
    await using ann = await connect(things.app, '/ws/groups-both/');
    expect(await ann.request('watch', { shelf: 1, request_id: 1 })).to.deep.equal(done('watch', 201));
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
  });

  it('S214 (differs) tells a move as a delete of the key where the row was, and as a create where it is', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await using bob = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await bob.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    await save(database.orm, 1, { shelf: 2 });
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await bob.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 2 }, 2));
    await save(database.orm, 1, { count: 1 });
    expect(await bob.receive()).to.deep.equal(event('update', { id: 1, name: 'alpha', shelf: 2 }, 2));
    await ann.expectSilence();
  });

  it('S215 (differs) tells a connection with both groups the delete of one subscription and the create of the other', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    await save(database.orm, 1, { shelf: 2 });
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 2 }, 2));
    await ann.expectSilence();
  });

  it('S216 (differs) tells a subscription with two groups of a row each change once', async () => {
    await using ann = await connect(things.app, '/ws/multi-group/');
    await ann.request('watch', { shelf: 1, request_id: 1 });
    await ann.request('watch', { pk: 1, request_id: 1 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await save(database.orm, 1, { shelf: 2 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await ann.expectSilence();
  });

  it('S217 (differs) has the scope in the groups of a consumer', async () => {
    await using bob = await connect(things.app, '/ws/mine/?user=1');
    expect(await bob.request('watch', { request_id: 1 })).to.deep.equal(done('watch', 201));
    const em = database.orm.em.fork();
    em.assign(await em.findOneOrFail(Thing, 1), { owner: 1 });
    await em.flush();
    expect(await bob.receive()).to.deep.equal(event('create', { pk: 1 }));
  });

  it('S219 (differs) disturbs no read and no write where a groups method gives no list', async () => {
    await using ann = await connect(things.app, '/ws/groupless/');
    await using bob = await connect(things.app, '/ws/shelf/');
    await ann.request('watch', { request_id: 1 });
    await bob.request('subscribe_shelf', { shelf: 1, request_id: 2 });
    await save(database.orm, 1, { count: 1 });
    expect(await bob.receive()).to.deep.equal(event('update', { id: 1, name: 'alpha', shelf: 1 }, 2));
    await ann.expectSilence();
    expect(things.logger.entries.map(({ message }) => message)).to.include('A change could not be sent as an event.');
  });

  it('S220 (differs) costs no query and no recursion where rows are loaded in part', async () => {
    await using ann = await connect(things.app, '/ws/multi-group/');
    await ann.request('watch', { shelf: 1, request_id: 1 });
    const em = database.orm.em.fork();
    const queries = await queriesOf(database.orm, async () => {
      await em.find(Thing, {}, { fields: ['name'], orderBy: { id: 'asc' } });
    });
    expect(queries).to.have.length(1);
    em.assign(em.getReference(Thing, 1), { name: 'partly' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await ann.expectSilence();
  });

  it('takes names of any length from a client', async () => {
    await using ann = await connect(things.app, '/ws/mine/', {
      prepare: (scope) => scope.query.set('user', 'x'.repeat(600)),
    });
    expect(await ann.request('watch', { request_id: 1 })).to.deep.equal(done('watch', 201));
  });
});
