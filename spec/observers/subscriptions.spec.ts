import { expect } from 'chai';
import { InMemoryChannelLayer, ParseError } from 'signalbox';
import { Membership } from '#signalbox/channel-layer/membership.js';
import type { Observer } from '#signalbox/observers/observer.js';
import { Subscriptions } from '#signalbox/observers/subscriptions.js';

describe('The subscriptions of a consumer', () => {
  const messages = observer('Rooms.onMessage');
  const rooms = observer('Rooms.onRoom');
  let membership: Membership;
  let subscriptions: Subscriptions;
  let count: { subscriptions: number };

  beforeEach(() => {
    membership = new Membership(new InMemoryChannelLayer(), 'ann');
    count = { subscriptions: 0 };
    subscriptions = new Subscriptions(membership, count);
  });

  async function subscribe(to: Observer, requestId: string | number, ...groups: string[]): Promise<boolean> {
    const known = subscriptions.find(to, requestId);
    await subscriptions.listen(known ?? subscriptions.open(to, requestId, {}), groups);
    return !known;
  }

  it('need a request id', () => {
    expect(() => subscriptions.open(messages, null, {})).to.throw(ParseError, 'A subscription needs a request_id.');
    expect(count.subscriptions).to.equal(0);
  });

  it('are one per request id, however often it is asked for', async () => {
    expect(await subscribe(messages, 1, 'red')).to.equal(true);
    expect(await subscribe(messages, 1, 'red', 'blue')).to.equal(false);
    expect(count.subscriptions).to.equal(1);
    await subscriptions.removeRequest(messages, 1);
    expect(count.subscriptions).to.equal(0);
    expect(membership.groups).to.deep.equal([]);
  });

  it('tell 1 from "1"', async () => {
    await subscribe(messages, 1, 'red');
    await subscribe(messages, '1', 'red');
    await subscriptions.removeRequest(messages, '1');
    expect(subscriptions.of(messages).map(({ requestId }) => requestId)).to.deep.equal([1]);
    expect(membership.groups).to.deep.equal(['red']);
  });

  it('are separate for two observers with one request id', async () => {
    await subscribe(messages, 1, 'red');
    await subscribe(rooms, 1, 'red');
    await subscriptions.removeRequest(rooms, 1);
    expect(subscriptions.of(messages)).to.have.length(1);
    expect(subscriptions.of(rooms)).to.have.length(0);
    expect(membership.groups).to.deep.equal(['red']);
  });

  it('lose groups one by one, and end with the last', async () => {
    await subscribe(messages, 1, 'red', 'blue');
    await subscribe(messages, 2, 'red');
    await subscriptions.removeGroups(messages, ['red']);
    expect(subscriptions.of(messages).map(({ requestId, groups }) => [requestId, [...groups]])).to.deep.equal([
      [1, ['blue']],
    ]);
    expect(membership.groups).to.deep.equal(['blue']);
  });

  it('leave all groups that they can, where one cannot be left', async () => {
    const layer = new InMemoryChannelLayer();
    const discard = layer.discard.bind(layer);
    const discarded: string[] = [];
    layer.discard = async (group, channel) => {
      if (group === 'red') throw new Error('No connection to the layer.');
      discarded.push(group);
      await discard(group, channel);
    };
    membership = new Membership(layer, 'ann');
    count = { subscriptions: 0 };
    subscriptions = new Subscriptions(membership, count);
    await subscribe(messages, 1, 'red', 'blue', 'green');
    const failure = await subscriptions.removeRequest(messages, 1).catch((error: Error) => error.message);
    expect(failure).to.equal('No connection to the layer.');
    expect(discarded).to.deep.equal(['blue', 'green']);
    expect(membership.groups).to.deep.equal([]);
    expect(count.subscriptions).to.equal(0);
  });

  it('are known as ended once they are', async () => {
    const record = subscriptions.open(messages, 1, {});
    await subscriptions.listen(record, ['red']);
    expect(subscriptions.has(record)).to.equal(true);
    await subscriptions.removeRequest(messages, 1);
    await subscribe(messages, 1, 'red');
    expect(subscriptions.has(record)).to.equal(false);
  });
});

function observer(id: string): Observer {
  const none = async (): Promise<string[]> => [];
  return {
    id,
    member: id,
    model: Object,
    passesThrough: true,
    hasRights: false,
    latest: false,
    groupsVary: false,
    consumer: Object,
    revocations: [],
    named: (groups: readonly string[]) => [...groups],
    groupsOfRow: none,
    groupsOfSubscription: none,
  };
}
