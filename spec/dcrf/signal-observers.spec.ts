import { EntityManager, RequestContext } from '@mikro-orm/core';
import { expect } from 'chai';
import { IsInt, IsOptional, IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  createApp,
  GroupsForBoth,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';
import { RoomKey } from '../support/rooms.js';
import { useServer } from '../support/serving.js';
import { thingModels } from '../support/things.js';

class Fired {
  @IsString() text!: string;
  @IsOptional() @IsInt() room?: number;
  @IsOptional() @IsString() sender?: string;
}

const fired = new Signal<Fired>();

@Consumer()
class SignalConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async subscribe_(context: ActionContext) {
    await this.subscribe(this.onFired, {}, context);
  }

  @Action({ status: 204 })
  async leave(context: ActionContext) {
    await this.unsubscribe(this.onFired, {}, context);
  }

  @Action({ status: 201 })
  async subscribeSender(context: ActionContext) {
    await this.subscribe(this.onSender, {}, context);
  }

  @Action({ status: 201 })
  async subscribeRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onRoom, { room }, context);
  }

  @Action({ status: 201 })
  async subscribeAtOnce(context: ActionContext) {
    await this.subscribe(this.onFiredAtOnce, {}, context);
  }

  @Action()
  fire(kwargs: Fired) {
    fired.send(kwargs);
  }

  @Action()
  async fireAsync(kwargs: Fired) {
    fired.send(kwargs);
  }

  @Action()
  fireAndThrow(kwargs: Fired) {
    fired.send(kwargs);
    throw new Error('no');
  }

  @Action()
  fireAndChange(kwargs: Fired) {
    const payload = { ...kwargs };
    fired.send(payload);
    payload.text = 'changed';
  }

  @Action()
  async fireInSavepoints(kwargs: Fired) {
    await this.em.transactional(async () => {
      fired.send({ ...kwargs, text: 'outer' });
      await this.em.transactional(async () => fired.send({ ...kwargs, text: 'released' }));
      await this.em
        .transactional(async () => {
          fired.send({ ...kwargs, text: 'rolled back' });
          throw new Error('no');
        })
        .catch(() => undefined);
    });
  }

  @Observer(fired, { body: () => ({}) })
  async onFired(event: SignalEvent<Fired, object>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @Observer(fired, { when: ({ sender }) => sender === 'only-this', name: 'heard' })
  async onSender(event: SignalEvent<Fired>, subscription: Subscription<object>) {
    await subscription.send(event);
  }

  @Observer(fired, { body: async ({ text }) => ({ text: text.toUpperCase() }) })
  async onRoom(event: SignalEvent<Fired, { text: string }>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onRoom') protected *groupsOfRoom({ room }: Fired | RoomKey) {
    if (room !== undefined) yield `room-${room}`;
  }

  @Observer(fired, { atOnce: true })
  async onFiredAtOnce(event: SignalEvent<Fired>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@Consumer()
class Listening extends ApiConsumer {
  @Action({ status: 201 })
  async enter({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onJoined, { room }, context);
  }

  @Observer(fired)
  onJoined(event: SignalEvent<Fired>, subscription: Subscription<RoomKey>) {
    if (event.data.text === 'bad') throw new Error('no');
    return subscription.send(event);
  }
  @GroupsForBoth('onJoined') protected *groupsOfRoom({ room }: Fired | RoomKey) {
    yield `room-${room}`;
  }
}

describe('Observers of signals, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_signals', thingModels);
  const serve = useServer();
  let app: App;
  beforeEach(() => {
    const routes = [path('/ws/signal/', SignalConsumer), path('/ws/readme-signal/', Listening)];
    ({ app } = serve(routes, { orm: database.orm }));
  });

  it('S174 (differs) tells a signal that was sent outside of any request', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_', { request_id: 1 });
    fired.send({ text: 'logged in' });
    expect(await ann.receive()).to.deep.equal(event('on_fired', {}));
  });

  it('S175 (differs) sends one frame per subscription and signal until it is unsubscribed', async () => {
    await using ann = await connect(app, '/ws/signal/');
    expect(await ann.request('subscribe_', { request_id: 1 })).to.deep.equal(done('subscribe_', 201));
    expect(await ann.request('fire', { text: 't', request_id: 2 })).to.deep.equal(done('fire', 200, 2));
    expect(await ann.receive()).to.deep.equal(event('on_fired', {}));
    expect(await ann.request('leave', { request_id: 1 })).to.deep.equal(done('leave', 204));
    expect(await ann.request('fire', { text: 't', request_id: 3 })).to.deep.equal(done('fire', 200, 3));
    await ann.expectSilence();
  });

  it('S176 (differs) tells only what its condition lets through', async () => {
    await using ann = await connect(app, '/ws/signal/');
    expect(await ann.request('subscribe_sender', { request_id: 1 })).to.deep.equal(done('subscribe_sender', 201));
    expect(await ann.request('fire', { text: 't', sender: 'other', request_id: 2 })).to.deep.equal(
      done('fire', 200, 2),
    );
    await ann.expectSilence();
    fired.send({ text: 't', sender: 'only-this' });
    expect(await ann.receive()).to.deep.equal(event('heard', { text: 't', sender: 'only-this' }));
  });

  it('S177 (differs) shows the body of its own and keeps to its groups', async () => {
    await using ann = await connect(app, '/ws/signal/');
    expect(await ann.request('subscribe_room', { room: 7, request_id: 1 })).to.deep.equal(done('subscribe_room', 201));
    expect(await ann.request('fire', { text: 'in 7', room: 7, request_id: 2 })).to.deep.equal(done('fire', 200, 2));
    expect(await ann.receive()).to.deep.equal(event('on_room', { text: 'IN 7' }));
    expect(await ann.request('fire', { text: 'in 8', room: 8, request_id: 3 })).to.deep.equal(done('fire', 200, 3));
    await ann.expectSilence();
  });

  it('S179 (differs) tells a signal that an async action sends', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_', { request_id: 1 });
    expect(await ann.request('fire_async', { text: 't', request_id: 2 })).to.deep.equal(done('fire_async', 200, 2));
    expect(await ann.receive()).to.deep.equal(event('on_fired', {}));
  });

  it('S180 (differs) runs the example of the README: subscribed with kwargs, grouped by the payload', async () => {
    await using ann = await connect(app, '/ws/readme-signal/');
    expect(await ann.request('enter', { room: 1, request_id: 1 })).to.deep.equal(done('enter', 201));
    fired.send({ room: 2, text: 'elsewhere' });
    await ann.expectSilence();
    fired.send({ room: 1, text: 'joined' });
    expect(await ann.receive()).to.deep.equal(event('on_joined', { room: 1, text: 'joined' }));
  });

  it('waits for the commit, and tells nothing of what was rolled back', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_sender', { request_id: 1 });
    await ann.request('fire_in_savepoints', { text: '', sender: 'only-this', request_id: 2 });
    expect(await ann.receive()).to.deep.equal(event('heard', { text: 'outer', sender: 'only-this' }));
    expect(await ann.receive()).to.deep.equal(event('heard', { text: 'released', sender: 'only-this' }));
    await ann.request('fire_and_throw', { text: '', sender: 'only-this', request_id: 3 });
    await ann.expectSilence();
  });

  it('shows what it was sent with, whatever the sender makes of it before the commit', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_sender', { request_id: 1 });
    await ann.request('subscribe_room', { room: 7, request_id: 2 });
    await ann.request('fire_and_change', { text: 'sent', sender: 'only-this', room: 7, request_id: 3 });
    expect(await ann.receive()).to.deep.equal(event('heard', { text: 'sent', sender: 'only-this', room: 7 }));
    expect(await ann.receive()).to.deep.equal(event('on_room', { text: 'SENT' }, 2));
    await ann.expectSilence();
  });

  it('refuses a payload that is no data where it is sent', () => {
    const told =
      'Signal.send: was given a payload that cannot be sent: payload.text is a function. ' +
      'Send plain data: the key of an entity, or the values to show.';
    expect(() => fired.send({ text: (() => 't') as never })).to.throw(ConfigurationError, told);
  });

  it('is told at once where it says so, whatever becomes of the transaction', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_at_once', { request_id: 1 });
    await ann.request('fire_and_throw', { text: 'lost', request_id: 2 });
    expect(await ann.receive()).to.deep.equal(event('on_fired_at_once', { text: 'lost' }));
  });

  it('keeps the socket where the observer throws', async () => {
    await using ann = await connect(app, '/ws/readme-signal/');
    await ann.request('enter', { room: 1, request_id: 1 });
    fired.send({ room: 1, text: 'bad' });
    fired.send({ room: 1, text: 'good' });
    expect(await ann.receive()).to.deep.equal(event('on_joined', { room: 1, text: 'good' }));
  });

  it('waits for a transaction begun by hand in a request context', async () => {
    await using ann = await connect(app, '/ws/signal/');
    await ann.request('subscribe_', { request_id: 1 });
    await RequestContext.create(database.orm.em, async () => {
      await database.orm.em.begin();
      fired.send({ text: 't' });
      await ann.expectSilence();
      await database.orm.em.commit();
    });
    expect(await ann.receive()).to.deep.equal(event('on_fired', {}));
  });

  it('asks no observer of an application that is closed', async () => {
    const asked: string[] = [];
    @Consumer()
    class Asking extends SignalConsumer {
      @Observer(fired, { atOnce: true, when: ({ text }) => asked.push(text) > 0 })
      override async onFiredAtOnce(event: SignalEvent<Fired>, subscription: Subscription<object>) {
        await subscription.send(event);
      }
    }
    const other = createApp({ orm: database.orm, routes: [path('/ws/asking/', Asking)] });
    await using ann = await connect(other, '/ws/asking/');
    await ann.request('subscribe_at_once', { request_id: 1 });
    fired.send({ text: 'open' });
    expect(await ann.receive()).to.deep.equal(event('on_fired_at_once', { text: 'open' }));
    await other.close();
    fired.send({ text: 'closed' });
    await app.idle();
    expect(asked).to.deep.equal(['open']);
  });
});
