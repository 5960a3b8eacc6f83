import { expect } from 'chai';
import { ConfigurationError, InMemoryChannelLayer } from 'signalbox';
import { behavesLikeAChannelLayer } from '../contracts/channel-layer-contract.js';

describe('InMemoryChannelLayer', () => {
  behavesLikeAChannelLayer((options) => ({ layer: new InMemoryChannelLayer(options), settled: async () => {} }));

  it('keeps no group whose last channel left or disconnected', async () => {
    const layer = new InMemoryChannelLayer();
    const [ann, bob] = [layer.newChannel(), layer.newChannel()];
    for (const channel of [ann, bob]) {
      await layer.connect(channel, () => {});
      await layer.add('red', channel);
      await layer.add('blue', channel);
    }
    expect(layer.groupCount).to.equal(2);
    await layer.discard('red', ann);
    await layer.disconnect(bob);
    expect(layer.groupCount).to.equal(1);
    await layer.disconnect(ann);
    expect(layer.groupCount).to.equal(0);
  });

  it('hands nothing to a channel that leaves the group before its turn', async () => {
    const layer = new InMemoryChannelLayer({ slice: 1 });
    const [ann, bob, eve] = [layer.newChannel(), layer.newChannel(), layer.newChannel()];
    const told: string[] = [];
    for (const channel of [ann, bob, eve]) {
      await layer.connect(channel, () => void told.push(channel));
      await layer.add('red', channel);
    }
    const sent = layer.sendToGroup('red', { type: 'shout' });
    await layer.discard('red', bob);
    await sent;
    expect(told).to.deep.equal([ann, eve]);
  });

  it('keeps nothing after close', async () => {
    const layer = new InMemoryChannelLayer();
    const ann = layer.newChannel();
    await layer.connect(ann, () => {});
    await layer.add('red', ann);
    await layer.close();
    expect(layer.groupCount).to.equal(0);
  });

  it('refuses options that it does not know, or that are no positive integers', () => {
    for (const options of [{ slice: 0 }, { largestMessage: 1.5 }, { largestBacklog: '1' }, { size: 1 }])
      expect(() => new InMemoryChannelLayer(options as never)).to.throw(ConfigurationError, 'InMemoryChannelLayer.');
  });
});
