import { setImmediate as nextTurn } from 'node:timers/promises';
import { RedisChannelLayer } from 'signalbox/redis';
import {
  behavesLikeAChannelLayer,
  type ChannelLayerUnderTest,
  type LayerOptions,
  survivesItsServer,
} from '../contracts/channel-layer-contract.js';
import { needsRedis, RedisServer } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const timeLimit = 1_000;

describe('RedisChannelLayer', () => {
  let server: RedisServer;

  before(async function () {
    needsRedis(this);
    server = await RedisServer.start();
  });
  after(() => server?.kill());

  function layerAt(port: number, options: LayerOptions = {}): RedisChannelLayer {
    return new RedisChannelLayer(`redis://127.0.0.1:${port}`, { timeLimit, heartbeat: 200, ...options });
  }

  function nodes(port: number, options?: LayerOptions): ChannelLayerUnderTest & { readonly peer: RedisChannelLayer } {
    const [layer, peer] = [layerAt(port, options), layerAt(server.port, options)];
    const settled = async (): Promise<void> => {
      await peer.check();
      await layer.check();
      await nextTurn();
    };
    return { layer, peer, settled };
  }

  behavesLikeAChannelLayer((options) => nodes(server.port, options));

  describe('whose server fails', () => {
    survivesItsServer(async () => {
      const proxy = await TcpProxy.to(server.port);
      return { ...nodes(proxy.port), proxy, server, timeLimit };
    });
  });
});
