import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { SlicedDelivery } from '#signalbox/channel-layer/sliced-delivery.js';

function channels(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `channel-${index}`);
}

describe('A sliced delivery', () => {
  let told: string[];
  const delivery = (slice: number): SlicedDelivery =>
    new SlicedDelivery(slice, (channel, { type }) => told.push(`${type} ${channel}`));

  beforeEach(() => {
    told = [];
  });

  it('hands a message to a small group at once', async () => {
    const sent = delivery(3).send(channels(3), { type: 'a' });
    expect(told).to.deep.equal(['a channel-0', 'a channel-1', 'a channel-2']);
    await sent;
  });

  it('hands it to no more channels in a turn than a slice has', async () => {
    const sent = delivery(2).send(channels(5), { type: 'a' });
    const counts = [told.length];
    for (let turn = 0; turn < 2; turn += 1) {
      await nextTurn();
      counts.push(told.length);
    }
    expect(counts).to.deep.equal([2, 4, 5]);
    await sent;
  });

  it('counts what many messages to small groups take together', async () => {
    const slices = delivery(2);
    const sent = ['a', 'b', 'c'].map((type) => slices.send(['one'], { type }));
    expect(told).to.deep.equal(['a one', 'b one']);
    await Promise.all(sent);
    expect(told).to.deep.equal(['a one', 'b one', 'c one']);
  });

  it('keeps the order of the messages for every channel, also while others join', async () => {
    const slices = delivery(2);
    const first = slices.send(channels(5), { type: 'a' });
    const second = slices.send(['channel-4', ...channels(4)], { type: 'b' });
    await Promise.all([first, second]);
    for (const channel of channels(5)) {
      const types = told.filter((one) => one.endsWith(channel)).map((one) => one[0]);
      expect(types, channel).to.deep.equal(['a', 'b']);
    }
  });

  it('hands messages that wait for the same channels to one channel after the other', async () => {
    const slices = delivery(2);
    const same = channels(3);
    const sent = ['a', 'b', 'c'].map((type) => slices.send(same, { type }));
    await Promise.all([...sent, slices.send(channels(1), { type: 'd' })]);
    expect(told).to.deep.equal([
      ...['a channel-0', 'a channel-1', 'a channel-2'],
      ...['b channel-0', 'c channel-0', 'b channel-1', 'c channel-1', 'b channel-2', 'c channel-2'],
      'd channel-0',
    ]);
  });

  it('hands out no more in a turn than a slice has, however many messages wait for the same channels', async () => {
    const slices = delivery(4);
    const same = channels(3);
    const sent = Array.from({ length: 9 }, (_, index) => slices.send(same, { type: `${index}` }));
    const counts = [told.length];
    while (told.length < 27) {
      const before = told.length;
      await nextTurn();
      counts.push(told.length - before);
    }
    await Promise.all(sent);
    expect(Math.max(...counts)).to.equal(4);
    for (const channel of same) {
      const types = told.filter((one) => one.endsWith(channel)).map((one) => one[0]);
      expect(types.join(''), channel).to.equal('012345678');
    }
  });

  it('delivers what a receiver sends behind what is being delivered', async () => {
    const slices: SlicedDelivery = new SlicedDelivery(10, (channel, { type }) => {
      told.push(`${type} ${channel}`);
      if (type === 'a' && channel === 'channel-0') void slices.send(['channel-1'], { type: 'answer' });
    });
    await slices.send(channels(2), { type: 'a' });
    expect(told).to.deep.equal(['a channel-0', 'a channel-1', 'answer channel-1']);
  });

  it('is in no context of the sender, not even the first slice', async () => {
    const context = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const slices = new SlicedDelivery(2, () => seen.push(context.getStore()));
    await context.run('the sender', () => slices.send(channels(3), { type: 'a' }));
    expect(seen).to.deep.equal([undefined, undefined, undefined]);
  });

  it('ends where a group is empty', async () => {
    await delivery(2).send([], { type: 'a' });
    expect(told).to.deep.equal([]);
  });
});
