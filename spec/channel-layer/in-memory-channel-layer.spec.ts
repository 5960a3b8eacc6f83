import { expect } from 'chai';
import { InMemoryChannelLayer } from 'signalbox';
import { behavesLikeAChannelLayer } from '../contracts/channel-layer-contract.js';

describe('InMemoryChannelLayer', () => {
  behavesLikeAChannelLayer(() => ({ layer: new InMemoryChannelLayer(), settled: async () => {} }));

  it('tells of a receiver that threw', async () => {
    const failures: unknown[] = [];
    const layer = new InMemoryChannelLayer((error) => failures.push(error));
    await layer.connect('bad', () => {
      throw new Error('no');
    });
    await layer.send('bad', { type: 'note' });
    expect(failures.map(String)).to.deep.equal(['Error: no']);
  });

  it('keeps no group whose last channel left or disconnected', async () => {
    const layer = new InMemoryChannelLayer();
    for (const channel of ['ann', 'bob']) {
      await layer.connect(channel, () => {});
      await layer.add('red', channel);
      await layer.add('blue', channel);
    }
    expect(layer.groupCount).to.equal(2);
    await layer.discard('red', 'ann');
    await layer.disconnect('bob');
    expect(layer.groupCount).to.equal(1);
    await layer.disconnect('ann');
    expect(layer.groupCount).to.equal(0);
  });

  it('keeps nothing after close', async () => {
    const seen: unknown[] = [];
    const layer = new InMemoryChannelLayer();
    await layer.connect('ann', (message) => seen.push(message));
    await layer.add('red', 'ann');
    await layer.close();
    await layer.sendToGroup('red', { type: 'note' });
    expect(layer.groupCount).to.equal(0);
    expect(seen).to.deep.equal([]);
  });
});
