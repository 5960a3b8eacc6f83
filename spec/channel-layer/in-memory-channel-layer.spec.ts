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

  const wrong: readonly (readonly [options: object, text: string])[] = [
    [{ slice: 0 }, 'slice: is 0. Give a positive integer.'],
    [{ largestMessage: 1.5 }, 'largestMessage: is 1.5. Give a positive integer.'],
    [{ largestBacklog: '1' }, 'largestBacklog: is "1". Give a positive integer.'],
    [{ size: 1 }, 'size: is not an option. There are largestMessage, largestBacklog, slice.'],
  ];
  for (const [options, text] of wrong) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      expect(() => new InMemoryChannelLayer(options))
        .to.throw(ConfigurationError)
        .with.property('message', `InMemoryChannelLayer.${text}`);
    });
  }
});
