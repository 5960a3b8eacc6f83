import { expect } from 'chai';
import { InMemoryChannelLayer } from 'signalbox';
import { Membership } from '#signalbox/channel-layer/membership.js';

/** Writes down what it is asked to do, and does it when it is told to. */
class SlowLayer extends InMemoryChannelLayer {
  readonly asked: string[] = [];
  readonly #gate = Promise.withResolvers<void>();

  override async add(group: string, channel: string): Promise<void> {
    this.asked.push(`add ${group}`);
    await this.#gate.promise;
    await super.add(group, channel);
  }

  override async discard(group: string, channel: string): Promise<void> {
    this.asked.push(`discard ${group}`);
    await super.discard(group, channel);
  }

  open(): void {
    this.#gate.resolve();
  }
}

describe('The membership of a channel', () => {
  const one = { name: 'one' };
  const other = { name: 'other' };

  it('joins a group with its first holder, and leaves it with its last', async () => {
    const layer = new SlowLayer();
    layer.open();
    const membership = new Membership(layer, 'ann');
    await membership.add('red', one);
    await membership.add('red', other);
    expect(membership.holdersOf('red')).to.deep.equal([one, other]);
    await membership.discard('red', one);
    await membership.discard('red', one);
    expect(membership.groups).to.deep.equal(['red']);
    await membership.discard('red', other);
    await membership.discard('red', other);
    expect(membership.holdersOf('red')).to.deep.equal([]);
    expect(membership.groups).to.deep.equal([]);
    expect(layer.asked).to.deep.equal(['add red', 'discard red']);
  });

  it('lets a second holder wait until the channel has joined', async () => {
    const layer = new SlowLayer();
    await layer.connect('ann', () => {});
    const membership = new Membership(layer, 'ann');
    const first = membership.add('red', one);
    const second = membership.add('red', other).then(() => layer.groupCount);
    layer.open();
    await first;
    expect(await second).to.equal(1);
  });
});
