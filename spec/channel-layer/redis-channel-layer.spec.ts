import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { createClient } from 'redis';
import { type BrokerOptions, ConfigurationError } from 'signalbox';
import { RedisChannelLayer } from 'signalbox/redis';
import {
  behavesLikeAChannelLayer,
  type ChannelLayerUnderTest,
  survivesItsServer,
} from '../contracts/channel-layer-contract.js';
import { patience, until, within } from '../support/deadline.js';
import { handlesWithout, openHandles } from '../support/handles.js';
import { needsRedis, RedisServer } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';

describe('RedisChannelLayer', () => {
  let server: RedisServer;

  before(async function () {
    needsRedis(this);
    server = await RedisServer.start();
  });
  after(() => server?.kill());

  function layerAt(port: number, options: BrokerOptions = {}): RedisChannelLayer {
    return new RedisChannelLayer(`redis://127.0.0.1:${port}`, { timeLimit: patience, heartbeat: 200, ...options });
  }

  function nodes(port: number, options?: BrokerOptions): ChannelLayerUnderTest & { readonly peer: RedisChannelLayer } {
    const [layer, peer] = [layerAt(port, options), layerAt(server.port, options)];
    const settled = async (): Promise<void> => {
      await peer.check();
      await layer.check();
      await nextTurn();
    };
    return { layer, peer, settled };
  }

  behavesLikeAChannelLayer((options) => nodes(server.port, options));

  describe('in Redis', () => {
    const opened: RedisChannelLayer[] = [];
    let redis: ReturnType<typeof createClient>;

    before(async () => {
      redis = createClient({ url: server.url });
      await redis.connect();
    });
    afterEach(() => Promise.all(opened.splice(0).map((layer) => layer.close())));
    after(() => redis?.destroy());

    function open(...given: ConstructorParameters<typeof RedisChannelLayer>): RedisChannelLayer {
      const layer = new RedisChannelLayer(...given);
      opened.push(layer);
      return layer;
    }

    async function joined(layer: RedisChannelLayer, group: string): Promise<{ channel: string; heard: unknown[] }> {
      const channel = layer.newChannel();
      const heard: unknown[] = [];
      await layer.connect(channel, ({ text }) => heard.push(text));
      await layer.add(group, channel);
      return { channel, heard };
    }

    it('has one subscription for the process and one for each group with members, and none of those that were left', async () => {
      const layer = open(server.url, { prefix: 'own:' });
      const members = [];
      for (let count = 0; count < 20; count += 1) members.push(await joined(layer, 'red'));
      await layer.add('blue', layer.newChannel());
      const names = await redis.pubSubChannels('own:*');
      expect(names.filter((name) => name.startsWith('own:g:'))).to.deep.equal(['own:g:red']);
      expect(names.filter((name) => name.startsWith('own:p:'))).to.have.lengthOf(1);
      expect(await redis.pubSubNumSub('own:g:red')).to.deep.include({ 'own:g:red': 1 });
      for (const { channel } of members) await layer.disconnect(channel);
      await layer.check();
      expect(await redis.pubSubChannels('own:g:*')).to.deep.equal([]);
      expect(layer.groupCount).to.equal(0);
    });

    it('keeps applications apart by their prefix', async () => {
      const [mine, theirs] = [open(server.url), open(server.url, { prefix: 'theirs:' })];
      const [{ heard }, other] = [await joined(mine, 'red'), await joined(theirs, 'red')];
      await theirs.sendToGroup('red', { type: 'note', text: 'hi' });
      await theirs.check();
      await mine.check();
      await until(() => other.heard.length === 1, 'The message');
      expect(heard).to.deep.equal([]);
    });

    it('is reached by the options of node-redis, whatever they say of reconnecting', async () => {
      const layer = open({
        socket: { host: '127.0.0.1', port: server.port, reconnectStrategy: 10 },
        name: 'signalbox',
      });
      const { heard } = await joined(layer, 'red');
      await layer.sendToGroup('red', { type: 'note', text: 'hi' });
      await until(() => heard.length === 1, 'The message');
    });

    it('drops what it cannot read, tells of it, and goes on', async () => {
      const layer = open(server.url);
      const failures: unknown[] = [];
      layer.onFailure((error) => failures.push(error));
      const { heard } = await joined(layer, 'red');
      await redis.publish('signalbox:g:red', '{"type": "no');
      await layer.sendToGroup('red', { type: 'note', text: 'hi' });
      await until(() => heard.length === 1, 'The message');
      expect(failures.map(String))
        .to.have.lengthOf(1)
        .and.match(/SyntaxError/);
    });

    it('tells of a gap where Redis ends the connection of the receiver', async () => {
      const layer = open(server.url);
      const gap = Promise.withResolvers<void>();
      layer.onGap(gap.resolve);
      const { heard } = await joined(layer, 'red');
      await redis.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
      await within(gap.promise, 'The gap');
      await layer.sendToGroup('red', { type: 'note', text: 'hi' });
      await until(() => heard.length === 1, 'The message');
    });

    it('has dropped what arrives faster than it is handed over, and then tells of a gap', async () => {
      const layer = open(server.url, { largestBacklog: 2_000, slice: 1 });
      const failures: unknown[] = [];
      layer.onFailure((error) => failures.push(error));
      const gap = Promise.withResolvers<void>();
      layer.onGap(gap.resolve);
      const members = [];
      for (let count = 0; count < 50; count += 1) members.push(await joined(layer, 'red'));
      const sender = open(server.url);
      const texts = Array.from({ length: 40 }, (_, index) => `${index} ${'x'.repeat(90)}`);
      await sender.sendAll(texts.map((text) => ({ group: 'red', message: { type: 'note', text } })));
      await within(gap.promise, 'The gap');
      const lengths = new Set(members.map(({ heard }) => heard.length));
      expect(lengths.size).to.equal(1);
      expect(Math.max(...lengths)).to.be.within(1, 39);
      expect(failures.map(String))
        .to.have.lengthOf(1)
        .and.match(/More than 2000 bytes/);
    });

    it('is not connected before it is used, and leaves nothing open', async () => {
      const before = await openHandles();
      const unused = open(server.url);
      expect(await handlesWithout(before)).to.deep.equal([]);
      await unused.close();
      const layer = open(server.url);
      await joined(layer, 'red');
      await layer.close();
      expect(await handlesWithout(before)).to.deep.equal([]);
    });

    const wrong: readonly (readonly [options: object, text: string])[] = [
      [{ timeLimit: 0 }, 'timeLimit: is 0. Give a positive integer.'],
      [{ heartbeat: -1 }, 'heartbeat: is -1. Give a positive integer.'],
      [
        { timelimit: 5 },
        'timelimit: is not an option. There are largestMessage, largestBacklog, slice, timeLimit, heartbeat.',
      ],
    ];
    for (const [options, text] of wrong) {
      it(`refuses ${JSON.stringify(options)}`, () => {
        expect(() => new RedisChannelLayer(server.url, options))
          .to.throw(ConfigurationError)
          .with.property('message', `RedisChannelLayer.${text}`);
      });
    }
  });

  describe('whose server fails', () => {
    survivesItsServer(async (timeLimit) => {
      const proxy = await TcpProxy.to(server.port);
      return { ...nodes(proxy.port, { timeLimit }), proxy, server };
    });
  });
});
