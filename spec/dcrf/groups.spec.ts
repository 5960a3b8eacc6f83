import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ApiConsumer,
  type App,
  ConfigurationError,
  Consumer,
  createApp,
  demultiplexer,
  Groups,
  InMemoryChannelLayer,
  OnMessage,
  PermissionDenied,
  path,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { within } from '../support/deadline.js';
import { reply } from '../support/frames.js';
import { offlineOrm } from '../support/offline-orm.js';
import { gate, useServer } from '../support/serving.js';

interface Shout {
  readonly type: 'shout';
  readonly text: string;
}

class Named {
  @IsString()
  name!: string;
}

class Said extends Named {
  @IsString()
  text!: string;
}

let held = gate();
let begun = gate();

@Consumer()
class CustomConsumer extends ApiConsumer {
  @Action()
  async join({ name }: Named) {
    await this.addGroup(name);
    return this.joinedGroups;
  }

  @Action()
  async leave({ name }: Named) {
    await this.removeGroup(name);
    return this.joinedGroups;
  }

  @Action({ status: 204 })
  async shout({ name, text }: Said) {
    await this.sendToGroup(name, { type: 'shout', text });
  }

  @Action({ status: 204 })
  async shoutUnknownType({ name }: Named) {
    await this.sendToGroup(name, { type: 'no.such.type' });
  }

  @Action({ status: 204 })
  async whisper({ name, text }: Said) {
    await this.sendToChannel(name, { type: 'shout', text });
  }

  @Action()
  async address() {
    return this.channelName;
  }

  @Action()
  async hold() {
    begun.resolve();
    await held.promise;
  }

  @OnMessage('shout')
  protected onShout({ text }: Shout) {
    if (text === 'break') throw new Error('Not so loud.');
    if (text === 'refuse') throw new PermissionDenied();
    this.sendJson({ shouted: text });
  }
}

@Consumer()
@Groups('everyone')
class WithGroupsConsumer extends ApiConsumer {
  @Action()
  async myGroups() {
    return this.joinedGroups;
  }

  @OnMessage('shout')
  protected async shouted({ text }: Shout) {
    this.sendJson({ shouted: text });
  }
}

describe('DCRF: groups and messages of the application', () => {
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;

  beforeEach(async () => {
    held = gate();
    begun = gate();
    const streams = demultiplexer({ one: CustomConsumer, two: WithGroupsConsumer });
    const routes = [path('/with-groups/', WithGroupsConsumer), path('/', CustomConsumer), path('/streams/', streams)];
    ({ app, logger } = serve(routes));
  });

  it('S020 joins the groups of the class, whose messages reach its methods by their type', async () => {
    await using a = await connect(app, '/with-groups/');
    a.send({ action: 'my_groups', request_id: 1 });
    expect(await a.receive()).to.deep.equal(reply('my_groups', ['everyone']));
    await using b = await connect(app, '/');
    b.send({ action: 'shout', name: 'everyone', text: 'hi', request_id: 1 });
    expect(await b.receive()).to.deep.equal(reply('shout', null, 1, 204));
    expect(await a.receive()).to.deep.equal({ shouted: 'hi' });
    await b.expectSilence();
  });

  it('S021 joins and leaves a group once, however often it is told to', async () => {
    await using a = await connect(app, '/');
    const shout = { action: 'shout', name: 'g1', text: 'x' };
    expect((await a.request('join', { name: 'g1' })).data).to.deep.equal(['g1']);
    expect((await a.request('join', { name: 'g1' })).data).to.deep.equal(['g1']);
    a.send({ ...shout, request_id: 3 });
    expect(await a.receive()).to.deep.equal(reply('shout', null, 3, 204));
    expect(await a.receive()).to.deep.equal({ shouted: 'x' });
    expect((await a.request('leave', { name: 'g1' })).data).to.deep.equal([]);
    expect((await a.request('leave', { name: 'g1' })).data).to.deep.equal([]);
    a.send({ ...shout, request_id: 6 });
    expect(await a.receive()).to.deep.equal(reply('shout', null, 6, 204));
    await a.expectSilence();
  });

  it('S022 (differs) logs a message of a type that no method takes, and the socket lives on', async () => {
    await using a = await connect(app, '/');
    await a.request('join', { name: 'g2' });
    a.send({ action: 'shout_unknown_type', name: 'g2', request_id: 2 });
    expect(await a.receive()).to.deep.equal(reply('shout_unknown_type', null, 2, 204));
    expect(logger.entries.map(({ message, fields }) => [message, fields['type']])).to.deep.equal([
      ['A message of a type that its consumer does not take was dropped.', 'no.such.type'],
    ]);
    expect(await a.request('address')).to.include({ response_status: 200 });
  });

  it('reach consumers from outside, by group and by channel', async () => {
    await using a = await connect(app, '/');
    const { data: address } = await a.request('address');
    await a.request('join', { name: 'lobby' });
    await app.sendToGroup('lobby', { type: 'shout', text: 'to the group' });
    expect(await a.receive()).to.deep.equal({ shouted: 'to the group' });
    await app.sendToChannel(String(address), { type: 'shout', text: 'to the channel' });
    expect(await a.receive()).to.deep.equal({ shouted: 'to the channel' });
    await using b = await connect(app, '/');
    await b.request('whisper', { name: address, text: 'between two' });
    expect(await a.receive()).to.deep.equal({ shouted: 'between two' });
    await app.sendToChannel('nobody', { type: 'shout', text: 'lost' });
    await a.expectSilence();
  });

  it('come in the envelope of their stream', async () => {
    await using a = await connect(app, '/streams/');
    const one = a.channel('one');
    await one.request('join', { name: 'lobby' });
    await app.sendToGroup('lobby', { type: 'shout', text: 'hi' });
    expect(await one.receive()).to.deep.equal({ shouted: 'hi' });
  });

  it('wait in line behind the request that runs', async () => {
    await using a = await connect(app, '/');
    await a.request('join', { name: 'lobby' });
    a.send({ action: 'hold', request_id: 1 });
    await begun.promise;
    await app.sendToGroup('lobby', { type: 'shout', text: 'hi' });
    held.resolve();
    expect(await a.receive()).to.include({ action: 'hold' });
    expect(await a.receive()).to.deep.equal({ shouted: 'hi' });
  });

  it('that a consumer throws at are logged', async () => {
    await using a = await connect(app, '/');
    await a.request('join', { name: 'lobby' });
    await app.sendToGroup('lobby', { type: 'shout', text: 'break' });
    await app.sendToGroup('lobby', { type: 'shout', text: 'refuse' });
    await a.expectSilence();
    expect(logger.at('error').map(({ fields }) => fields['hook'])).to.deep.equal(['message', 'message']);
    expect(await a.request('address')).to.include({ response_status: 200 });
  });

  it('that a consumer never finishes with are given up at the time limit of actions', async () => {
    @Consumer()
    class Endless extends CustomConsumer {
      @OnMessage('wait')
      protected async onWait() {
        begun.resolve();
        await new Promise(() => {});
      }
    }
    const { app: other, logger: log, clock } = serve([path('/', Endless)]);
    await using a = await connect(other, '/');
    await a.request('join', { name: 'g' });
    await other.sendToGroup('g', { type: 'wait' });
    await begun.promise;
    clock.advance(30_000);
    expect(await a.request('address')).to.include({ response_status: 200 });
    expect(log.at('error').map(({ message, fields }) => [message, fields['hook']])).to.deep.equal([
      ['A hook failed.', 'message'],
    ]);
  });

  it('reach no channel that left', async () => {
    const a = await connect(app, '/with-groups/');
    await a.request('my_groups');
    a.close();
    await within(a.ended, 'The end of the connection');
    await app.sendToGroup('everyone', { type: 'shout', text: 'hi' });
    expect(a.frames).to.have.length(1);
  });

  it('are joined no more by hooks of a client that has left meanwhile, which is no failure', async () => {
    class Late extends CustomConsumer {
      protected async joinLate() {
        begun.resolve();
        await held.promise;
        await this.addGroup('g');
      }
    }
    @Consumer()
    class Connecting extends Late {
      protected override onConnect() {
        return this.joinLate();
      }
    }
    @Consumer()
    class Told extends Late {
      @OnMessage('told') protected onTold() {
        return this.joinLate();
      }
    }
    class SlowLayer extends InMemoryChannelLayer {
      isSlow = false;
      override async connect(...parameters: Parameters<InMemoryChannelLayer['connect']>) {
        await super.connect(...parameters);
        if (!this.isSlow) return;
        begun.resolve();
        await held.promise;
      }
    }
    const channelLayer = new SlowLayer();
    const routes = [path('/connecting/', Connecting), path('/told/', Told), path('/class/', WithGroupsConsumer)];
    const { app: other, logger: log } = serve(routes, { channelLayer });
    for (const url of ['/connecting/', '/told/', '/class/']) {
      [held, begun] = [gate(), gate()];
      channelLayer.isSlow = url === '/class/';
      const a = await connect(other, url);
      if (url === '/told/') await other.sendToChannel(String((await a.request('address')).data), { type: 'told' });
      await begun.promise;
      a.close();
      await a.closed;
      held.resolve();
      await within(a.ended, 'The end of the connection');
    }
    expect(log.at('error')).to.deep.equal([]);
  });

  it('have a type', async () => {
    const refusal = await app.sendToGroup('lobby', {} as never).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(TypeError);
    expect(String(refusal)).to.contain('A message needs a type');
  });

  it('may go to groups with a name only', async () => {
    await using a = await connect(app, '/');
    expect(await a.request('join', { name: '' })).to.include({ response_status: 500 });
    expect((await a.request('join', { name: 'g' })).data).to.deep.equal(['g']);
    expect(() => Groups('')(CustomConsumer)).to.throw(RangeError, "A group's name is a string of 1 to 500 characters");
  });

  it('do not reach a channel that joined twice at once and left once', async () => {
    @Consumer()
    class Hasty extends CustomConsumer {
      @Action()
      async joinTwice() {
        await Promise.all([this.addGroup('g'), this.addGroup('g')]);
        await this.removeGroup('g');
      }
    }
    const { app: other } = serve([path('/', Hasty)]);
    await using a = await connect(other, '/');
    await a.request('join_twice');
    await other.sendToGroup('g', { type: 'shout', text: 'hi' });
    await a.expectSilence();
  });

  it('are taken by one method each', async () => {
    @Consumer()
    class Twice extends ApiConsumer {
      @OnMessage('a') protected one() {}
      @OnMessage('a') protected two() {}
    }
    const orm = await offlineOrm();
    expect(() => createApp({ orm, routes: [path('/', Twice)] })).to.throw(
      ConfigurationError,
      'Twice.two: takes messages of type "a", and so does one. Give it another type: @OnMessage(\'type\').',
    );
  });
});
