import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect, MemoryCounters } from 'signalbox/testing';
import { Quotas } from '#signalbox/consumers/quotas.js';
import { RequestQueue } from '#signalbox/consumers/request-queue.js';
import { Request, type RequestTarget } from '#signalbox/dispatch/request.js';
import { defaultSettings } from '#signalbox/settings.js';
import { AllThings, ByShelf } from '../dcrf/observer-consumers.js';
import { useDatabase } from '../support/database.js';
import { done, event, failure } from '../support/frames.js';
import { gate } from '../support/serving.js';
import { createThing, save, Thing, thingModels, useThings } from '../support/things.js';

let slow = gate();

class Target {
  @IsInt() target!: number;
}

/** Subscribes two observers by one request, late and out of line. */
@Consumer()
class LateConsumer extends ApiConsumer {
  @Action({ detached: true, status: 201 })
  async watch(context: ActionContext) {
    await slow.promise;
    await this.subscribe(this.onThing, {}, context);
    await this.subscribe(this.onOther, {}, context);
  }

  @ModelObserver(() => Thing)
  async onThing(event: ModelEvent<Thing>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @ModelObserver(() => Thing)
  async onOther(event: ModelEvent<Thing>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
class OwnUnsubscribe extends ApiConsumer {
  @Action({ name: 'unsubscribe' })
  async leave({ target }: Target) {
    return { mine: target };
  }
}

describe('Unsubscribing by request id', () => {
  const database = useDatabase('requests', thingModels);
  const things = useThings(database, [
    path('/ws/all/', AllThings),
    path('/ws/shelf/', ByShelf),
    path('/ws/late/', LateConsumer),
    path('/ws/own/', OwnUnsubscribe),
  ]);
  beforeEach(() => {
    slow = gate();
  });

  it('ends that subscription and no other', async () => {
    await using ann = await connect(things.app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 8, request_id: 5 });
    await ann.request('subscribe_shelf', { shelf: 8, request_id: '5' });
    expect(await ann.request('unsubscribe', { target: 5, request_id: 6 })).to.deep.equal(done('unsubscribe', 204, 6));
    await createThing(database.orm, 'new', 8);
    expect(await ann.receive()).to.deep.equal(event('create', { id: 4, name: 'new', shelf: 8 }, '5'));
    await ann.expectSilence();
  });

  it('waits behind the request that subscribes', async () => {
    await using ann = await connect(things.app, '/ws/all/');
    ann.send({ action: 'subscribe_all', request_id: 1 });
    expect(await ann.request('unsubscribe', { target: 1, request_id: 2 })).to.deep.equal(done('unsubscribe', 204, 2));
    expect(await ann.receive()).to.deep.equal(done('subscribe_all', 201));
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
  });

  it('ends also what a detached request is still about to subscribe to, for all its observers', async () => {
    await using ann = await connect(things.app, '/ws/late/');
    ann.send({ action: 'watch', request_id: 1 });
    expect(await ann.request('unsubscribe', { target: 1, request_id: 2 })).to.deep.equal(done('unsubscribe', 204, 2));
    slow.resolve();
    expect(await ann.receive()).to.deep.equal(done('watch', 201));
    await save(database.orm, 1, { count: 3 });
    await ann.expectSilence();
  });

  it('is a 204 where there is nothing to end, and a 400 without a target', async () => {
    await using ann = await connect(things.app, '/ws/all/');
    expect(await ann.request('unsubscribe', { target: 9, request_id: 1 })).to.deep.equal(done('unsubscribe', 204));
    expect(await ann.request('unsubscribe', { request_id: 1 })).to.deep.equal(
      failure('unsubscribe', 400, 'parse_error', 'Name the request_id of the subscription as "target".'),
    );
  });

  it('is left to a consumer that has an action of this name', async () => {
    await using ann = await connect(things.app, '/ws/own/');
    expect(await ann.request('unsubscribe', { target: 9, request_id: 1 })).to.deep.include({ data: { mine: 9 } });
  });
});

describe('The queue of requests', () => {
  it('goes on after a request that fails to start, and holds nothing of it', () => {
    const started: unknown[] = [];
    const quotas = new Quotas(defaultSettings.limits, new MemoryCounters());
    const start = (request: Request): void => {
      if (request.requestId === 1) throw new Error('It does not start.');
      started.push(request.requestId);
    };
    const queue = new RequestQueue({ start }, quotas, { settling: undefined });
    const target = { settled: (request: Request) => queue.settled(request) } as unknown as RequestTarget;
    const add = (requestId: number): void =>
      queue.add(new Request(target, undefined, requestId, { action: 'hello', requestId, kwargs: {} }, 100));
    expect(() => add(1)).to.throw('It does not start.');
    expect([queue.open, quotas.waiting, quotas.requestBytes]).to.deep.equal([[], 0, 0]);
    add(2);
    expect(started).to.deep.equal([2]);
  });
});
