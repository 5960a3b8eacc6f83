import { expect } from 'chai';
import { ParseError } from 'signalbox';
import type { Observer } from '#signalbox/observers/observer.js';
import {
  type SubscriptionCounts,
  SubscriptionIndex,
  Subscriptions,
  subscribingRequest,
} from '#signalbox/observers/subscriptions.js';

describe('The subscriptions of a consumer', () => {
  const messages = observer('Rooms.onMessage');
  const rooms = observer('Rooms.onRoom');
  let index: SubscriptionIndex;
  let subscriptions: Subscriptions;
  let count: SubscriptionCounts;

  beforeEach(() => {
    index = new SubscriptionIndex();
    count = { subscriptions: 0, groups: 0, bytes: 0 };
    subscriptions = new Subscriptions(index, { receive: () => {} }, count);
  });

  function subscribe(to: Observer, requestId: string | number, ...groups: string[]): boolean {
    const known = subscriptions.find(to, requestId);
    const record = known ?? subscriptions.open(to, requestId, {});
    subscriptions.note(record, subscribingRequest('listen', requestId, {}, {}, groups));
    subscriptions.listen(record, groups);
    return !known;
  }

  it('need a request id', () => {
    expect(() => subscriptions.open(messages, null, {})).to.throw(ParseError, 'A subscription needs a request_id.');
    expect(count.subscriptions).to.equal(0);
  });

  it('are one per request id, however often it is asked for', () => {
    expect(subscribe(messages, 1, 'red')).to.equal(true);
    expect(subscribe(messages, 1, 'red', 'blue')).to.equal(false);
    expect(subscriptions.of(messages)).to.have.length(1);
    subscriptions.removeRequest(messages, 1);
    expect(count).to.deep.equal({ subscriptions: 0, groups: 0, bytes: 0 });
    expect(index.groups.size).to.equal(0);
  });

  it('tell 1 from "1"', () => {
    subscribe(messages, 1, 'red');
    subscribe(messages, '1', 'red');
    subscriptions.removeRequest(messages, '1');
    expect(subscriptions.of(messages).map(({ requestId }) => requestId)).to.deep.equal([1]);
    expect(index.groups.has('red')).to.equal(true);
  });

  it('are separate for two observers with one request id', () => {
    subscribe(messages, 1, 'red');
    subscribe(rooms, 1, 'red');
    subscriptions.removeRequest(rooms, 1);
    expect(subscriptions.of(messages)).to.have.length(1);
    expect(subscriptions.of(rooms)).to.have.length(0);
    expect(index.groups.has('red')).to.equal(true);
  });

  it('lose groups one by one, and end with the last', () => {
    subscribe(messages, 1, 'red', 'blue');
    subscribe(messages, 2, 'red');
    subscriptions.removeGroups(messages, ['red']);
    expect(subscriptions.of(messages).map(({ requestId, groups }) => [requestId, [...groups]])).to.deep.equal([
      [1, ['blue']],
    ]);
    expect([index.groups.has('red'), index.groups.has('blue'), count.groups]).to.deep.equal([false, true, 1]);
  });

  it('count each group once, however many listen to it', () => {
    subscribe(messages, 1, 'red', 'blue');
    subscribe(messages, 2, 'red');
    expect(count).to.include({ subscriptions: 2, groups: 2 });
    subscriptions.end(1);
    expect(count).to.include({ subscriptions: 1, groups: 1 });
    subscriptions.endAll();
    expect(count).to.deep.equal({ subscriptions: 0, groups: 0, bytes: 0 });
    expect(index.heard.has(messages)).to.equal(false);
  });

  it('are known as ended once they are', () => {
    const record = subscriptions.open(messages, 1, {});
    subscriptions.listen(record, ['red']);
    expect(record.isEnded).to.equal(false);
    subscriptions.removeRequest(messages, 1);
    subscribe(messages, 1, 'red');
    expect(record.isEnded).to.equal(true);
  });
});

function observer(id: string): Observer {
  const none = async (): Promise<string[]> => [];
  return {
    id,
    member: id,
    model: Object,
    reads: [],
    passesThrough: true,
    hasRights: false,
    latest: false,
    needsBefore: false,
    hasGroups: true,
    consumer: Object,
    revocations: [],
    named: (groups: readonly string[]) => [...groups],
    groupsOfRow: none,
    groupsOfSubscription: none,
  };
}
