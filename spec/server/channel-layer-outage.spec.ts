import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  type ActionContext,
  ApiConsumer,
  type App,
  ChannelLayerUnavailable,
  type ChannelMessage,
  type ChannelReceiver,
  Consumer,
  closeOn,
  Groups,
  GroupsForBoth,
  InMemoryChannelLayer,
  Observer,
  OnMessage,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryCounters, type MemoryLogger, type TestClock } from 'signalbox/testing';
import { within } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';

class Room {
  @IsString()
  room!: string;
}

interface Shout {
  readonly type: 'shout';
  readonly text: string;
}

@Consumer()
@Groups('lobby')
class Lobby extends ApiConsumer {
  @Action()
  async echo({ room }: Room) {
    return room;
  }

  @Action()
  async enter({ room }: Room) {
    await this.addGroup(room);
    return this.joinedGroups;
  }

  @Action()
  async shout({ room }: Room) {
    await this.sendToGroup('lobby', { type: 'shout', text: room });
  }

  /** Not awaited. */
  @Action()
  async forgetfulShout({ room }: Room) {
    this.sendToGroup('lobby', { type: 'shout', text: room });
    return 'shouted';
  }

  @OnMessage('shout')
  protected onShout({ text }: Shout) {
    this.sendJson({ text });
  }
}

@Consumer()
class Plain extends ApiConsumer {
  @Action()
  async echo({ room }: Room) {
    return room;
  }

  @Action()
  async enter({ room }: Room) {
    await this.addGroup(room);
  }
}

@Consumer()
class Eager extends Plain {
  protected override async onConnect() {
    await this.addGroup('eager');
  }
}

const rang = new Signal<{ room: string }>();

@Consumer()
class Listening extends Plain {
  @Action({ status: 201 })
  async follow(_: Room, context: ActionContext) {
    await this.subscribe(this.onRing, {}, context);
  }

  @Observer(rang)
  async onRing(event: SignalEvent<{ room: string }>, subscription: Subscription) {
    await subscription.send(event);
  }

  @GroupsForBoth('onRing')
  protected groupsOfRing() {
    return ['rings'];
  }
}

/** One whose server goes away and comes back when it is told to. */
class FailingLayer extends InMemoryChannelLayer {
  #isAway = false;

  goAway(): void {
    this.#isAway = true;
  }

  comeBack(): void {
    this.#isAway = false;
    this.tellGap();
  }

  override async connect(channel: string, receiver: ChannelReceiver): Promise<void> {
    this.#require();
    await super.connect(channel, receiver);
  }

  override async add(group: string, channel: string): Promise<void> {
    this.#require();
    await super.add(group, channel);
  }

  override async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    this.#require();
    await super.sendToGroup(group, message);
  }

  override async check(): Promise<void> {
    this.#require();
  }

  #require(): void {
    if (this.#isAway) throw new ChannelLayerUnavailable();
  }
}

describe('An application whose channel layer goes away', () => {
  const serve = useServer();
  let layer: FailingLayer;
  let counters: MemoryCounters;
  let app: App;
  let logger: MemoryLogger;
  let clock: TestClock;

  beforeEach(() => {
    layer = new FailingLayer();
    const providers = testProviders();
    ({ logger, clock, counters } = providers);
    const routes = [path('/lobby/', Lobby), path('/', Plain), path('/eager/', Eager), path('/listening/', Listening)];
    ({ app } = serve(routes, { channelLayer: layer, container: providers.container }));
  });

  const unavailable = { response_status: 503, code: 'unavailable' };

  it('answers 503 to what needs the layer, says when to try again, and works when it is back', async () => {
    await using ann = await connect(app, '/');
    await ann.request('echo', { room: 'a' });
    layer.goAway();
    const refused = await ann.request('enter', { room: 'a' });
    expect(refused).to.include(unavailable);
    expect(refused.data).to.have.property('retry_after_ms').that.is.within(1_000, 3_000);
    expect(await ann.request('echo', { room: 'b' })).to.include({ response_status: 200, data: 'b' });
    layer.comeBack();
    expect(await ann.request('enter', { room: 'a' })).to.include({ response_status: 200 });
  });

  it('answers 503 also where the action does not await what it sends', async () => {
    await using ann = await connect(app, '/lobby/');
    expect(await ann.request('forgetful_shout', { room: 'a' })).to.include({ response_status: 200 });
    layer.goAway();
    expect(await ann.request('forgetful_shout', { room: 'b' })).to.include(unavailable);
  });

  it('serves a socket that opens meanwhile, and closes it with 1013 when the layer is back', async () => {
    layer.goAway();
    const ann = await connect(app, '/lobby/');
    expect(await ann.request('echo', { room: 'a' })).to.include({ response_status: 200, data: 'a' });
    expect(await ann.request('enter', { room: 'a' })).to.include(unavailable);
    layer.comeBack();
    expect(await within(ann.closed, 'The close')).to.equal(1013);
    await using again = await connect(app, '/lobby/');
    await again.request('shout', { room: 'hi' });
    await again.request('echo', { room: 'a' });
    expect(again.frames).to.deep.include({ text: 'hi' });
  });

  it('answers 503 and not 500 where onConnect needs it, and closes the socket when it is back', async () => {
    layer.goAway();
    const ann = await connect(app, '/eager/');
    expect(await ann.request('echo', { room: 'a' })).to.include(unavailable);
    layer.comeBack();
    expect(await within(ann.closed, 'The close')).to.equal(1013);
  });

  it('closes on a gap the connections that may have missed a message, and no others', async () => {
    await using plain = await connect(app, '/');
    await plain.request('echo', { room: 'a' });
    await using listening = await connect(app, '/listening/');
    await listening.request('echo', { room: 'a' });
    const concerned = [
      await connect(app, '/lobby/'),
      await connect(app, '/eager/'),
      await connect(app, '/listening/'),
      await connect(app, '/'),
    ] as const;
    for (const each of concerned) await each.request('echo', { room: 'a' });
    expect(await concerned[2].request('follow', { room: 'a' })).to.include({ response_status: 201 });
    expect(await concerned[3].request('enter', { room: 'a' })).to.include({ response_status: 200 });
    layer.comeBack();
    const codes = await within(Promise.all(concerned.map(({ closed }) => closed)), 'The closes');
    expect(codes).to.deep.equal([1013, 1013, 1013, 1013]);
    for (const each of [plain, listening])
      expect(await each.request('echo', { room: 'b' })).to.include({ response_status: 200 });
  });

  it('closes every connection where a signal may have been to close it', async () => {
    ({ app } = serve([path('/', Plain)], { channelLayer: layer, connections: [closeOn(rang, { user: () => 'ann' })] }));
    const ann = await connect(app, '/');
    await ann.request('echo', { room: 'a' });
    layer.comeBack();
    expect(await within(ann.closed, 'The close')).to.equal(1013);
  });

  it('counts the gap, and says in the log how many connections it closed', async () => {
    const ann = await connect(app, '/lobby/');
    await ann.request('echo', { room: 'a' });
    layer.comeBack();
    expect(counters.count('signalbox.channel_layer_gaps')).to.equal(1);
    const line = logger.at('warn').find(({ message }) => message.startsWith('Messages of the channel layer'));
    expect(line?.fields).to.include({ connections: 1 });
  });

  it('is not ready meanwhile, and is again when the layer is back', async () => {
    await app.start();
    layer.goAway();
    expect(await app.readiness()).to.include({ isReady: false, channelLayer: false });
    layer.comeBack();
    clock.advance(1_000);
    expect((await app.readiness()).channelLayer).to.equal(true);
  });

  it('starts without the layer, and joins it when it is there', async () => {
    layer.goAway();
    await within(app.start(), 'The start');
    expect((await app.readiness()).channelLayer).to.equal(false);
    layer.comeBack();
    await within(app.idle(), 'The joining');
    clock.advance(1_000);
    expect((await app.readiness()).channelLayer).to.equal(true);
    expect(logger.at('info').map(({ message }) => message)).to.include('This process has joined the channel layer.');
  });
});
