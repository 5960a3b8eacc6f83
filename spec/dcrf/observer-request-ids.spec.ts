import { expect } from 'chai';
import { path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';
import { createThing, removeThing, save, thingModels, useThings } from '../support/things.js';
import { AllThings, ByShelf } from './observer-consumers.js';

const noId = {
  errors: ['A subscription needs a request_id.'],
  data: null,
  action: 'subscribe_all',
  response_status: 400,
  request_id: null,
  code: 'parse_error',
};

describe('Request ids and unsubscribing, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_request_ids', thingModels);
  const things = useThings(database, [path('/ws/all-things/', AllThings), path('/ws/shelf/', ByShelf)]);

  it('S221 (differs) gives each event the request id of its subscription', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    expect(await ann.request('subscribe_shelf', { shelf: 8, request_id: 5 })).to.deep.equal(
      done('subscribe_shelf', 201, 5),
    );
    await createThing(database.orm, 'thenewname', 8);
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'thenewname', shelf: 8 }, 5));
  });

  it('S222 (differs) leaves the groups of a subscription that ended, and hears of those of the next', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await createThing(database.orm, 'thenewname', 8);
    await removeThing(database.orm, 4);
    await ann.expectSilence();
    await ann.request('subscribe_shelf', { shelf: 8, request_id: 5 });
    await createThing(database.orm, 'thenewname', 8);
    expect(await ann.receive()).to.deep.equal(event('create', { id: 5, name: 'thenewname', shelf: 8 }, 5));
    expect(await ann.request('unsubscribe_shelf', { shelf: 8, request_id: 5 })).to.deep.equal(
      done('unsubscribe_shelf', 204, 5),
    );
    await ann.request('subscribe_shelf', { shelf: 9, request_id: 6 });
    await removeThing(database.orm, 5);
    await createThing(database.orm, 'thenewname', 8);
    await ann.expectSilence();
    await createThing(database.orm, 'thenewname2', 9);
    expect(await ann.receive()).to.deep.equal(event('create', { id: 7, name: 'thenewname2', shelf: 9 }, 6));
  });

  it('takes the groups of the kwargs out of a subscription that has others', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    for (const shelf of [8, 9]) await ann.request('subscribe_shelf', { shelf, request_id: 5 });
    await ann.request('unsubscribe_shelf', { shelf: 8, request_id: 5 });
    await createThing(database.orm, 'one', 8);
    await createThing(database.orm, 'two', 9);
    const { data } = await ann.receive();
    expect(data).to.include({ name: 'two', shelf: 9 });
    await ann.expectSilence();
  });

  it('S224 (differs) ends every subscription where the observer is unsubscribed without a context', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    await ann.request('subscribe_all', { request_id: 2 });
    expect(await ann.request('unsubscribe_everything', { request_id: 3 })).to.deep.equal(
      done('unsubscribe_everything', 204, 3),
    );
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
  });

  it('S225 (differs) has no subscription without a request id, and so none that cannot be ended', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    ann.send({ action: 'subscribe_all' });
    expect(await ann.receive()).to.deep.equal(noId);
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
  });

  it('S226 (differs) keeps a subscription where another request id is unsubscribed', async () => {
    await using ann = await connect(things.app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    await save(database.orm, 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    expect(await ann.request('unsubscribe_all', { request_id: 'unrelated' })).to.deep.equal(
      done('unsubscribe_all', 204, 'unrelated'),
    );
    await save(database.orm, 1, { count: 4 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
  });
});
