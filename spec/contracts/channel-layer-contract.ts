import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { type ChannelLayer, ChannelLayerUnavailable, type ChannelMessage, MessageTooLarge } from 'signalbox';
import { Inbox } from '#signalbox/testing/inbox.js';
import { patience, until, within } from '../support/deadline.js';
import type { TcpProxy } from '../support/tcp-proxy.js';

/** What a layer is made with. */
export interface LayerOptions {
  readonly largestMessage?: number;
  readonly largestBacklog?: number;
}

/** What an implementation is tried with. */
export interface ChannelLayerUnderTest {
  readonly layer: ChannelLayer;
  /** A second node of the same layer, where it spans several processes. */
  readonly peer?: ChannelLayer;
  /** Resolves when everything that was sent has arrived. */
  settled(): Promise<void>;
}

/** One whose messages go through a server. */
export interface ServedLayerUnderTest extends ChannelLayerUnderTest {
  readonly peer: ChannelLayer;
  readonly server: {
    /** Like a crash. */
    kill(): Promise<void>;
    /** Starts it again under the same address. */
    resume(): Promise<void>;
  };
  /** Between `layer` and the server; `peer` has none. */
  readonly proxy: TcpProxy;
}

/** A connected channel, with what it received. */
class Listener {
  readonly inbox = new Inbox<ChannelMessage>();
  readonly receive = (message: ChannelMessage): void => this.inbox.put(message);

  constructor(readonly name: string) {}

  async next(): Promise<unknown> {
    return (await this.inbox.take(patience))['text'];
  }

  async take(count: number): Promise<unknown[]> {
    const taken: unknown[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  all(): unknown[] {
    return this.inbox.takeAll().map(({ text }) => text);
  }
}

async function join(layer: ChannelLayer, ...groups: string[]): Promise<Listener> {
  const listener = new Listener(layer.newChannel());
  await layer.connect(listener.name, listener.receive);
  for (const group of groups) await layer.add(group, listener.name);
  return listener;
}

/** The contract of `ChannelLayer`: every channel layer runs it. */
export function behavesLikeAChannelLayer(
  make: (options?: LayerOptions) => ChannelLayerUnderTest | Promise<ChannelLayerUnderTest>,
): void {
  let under: ChannelLayerUnderTest;
  let layer: ChannelLayer;
  let peer: ChannelLayer;

  async function begin(options?: LayerOptions): Promise<void> {
    under = await make(options);
    layer = under.layer;
    peer = under.peer ?? under.layer;
  }

  async function end(): Promise<void> {
    await Promise.all([layer.close(), peer.close()]);
  }

  beforeEach(() => begin());
  afterEach(end);

  /** Another layer than that of the other specs. */
  async function beginAnew(options: LayerOptions): Promise<void> {
    await end();
    await begin(options);
  }

  it('sends to one channel', async () => {
    const ann = await join(layer);
    const bob = await join(layer);
    await peer.send(ann.name, note('hi'));
    expect(await ann.next()).to.equal('hi');
    await under.settled();
    expect(bob.all()).to.deep.equal([]);
  });

  it('makes addresses that are never made twice, and connects no others', async () => {
    const made = [layer, peer, layer, peer].map((node) => node.newChannel());
    expect(new Set(made).size).to.equal(4);
    for (const address of ['ann', '', 'x.1', `${made[0]}1.x`])
      expect(await outcome(layer.connect(address, () => {})), address).to.be.instanceOf(RangeError);
  });

  it('drops what is sent to nobody', async () => {
    const nobody = layer.newChannel();
    for (const address of [nobody, 'nobody', 'AAAAAAAAAAAAAAAAAAAA.1', '\0']) await peer.send(address, note('hi'));
    await peer.sendToGroup('nobody', note('hi'));
    const listener = new Listener(nobody);
    await layer.connect(nobody, listener.receive);
    await layer.add('nobody', nobody);
    await under.settled();
    expect(listener.all()).to.deep.equal([]);
  });

  it('sends to every channel of a group, and to no other', async () => {
    const ann = await join(layer, 'red', 'blue');
    const bob = await join(peer, 'red');
    const cem = await join(layer, 'blue');
    await peer.sendToGroup('red', note('hi'));
    expect(await ann.next()).to.equal('hi');
    expect(await bob.next()).to.equal('hi');
    await under.settled();
    expect([ann.all(), bob.all(), cem.all()]).to.deep.equal([[], [], []]);
  });

  it('keeps the order of one sender to one channel, through whatever it sends', async () => {
    const ann = await join(layer, 'red', 'blue');
    const sent: Promise<void>[] = [];
    for (let index = 0; index < 60; index += 3) {
      sent.push(peer.send(ann.name, note(String(index))));
      sent.push(
        peer.sendAll([
          { group: 'red', message: note(String(index + 1)) },
          { group: 'blue', message: note(String(index + 2)) },
        ]),
      );
    }
    expect(await ann.take(60)).to.deep.equal(Array.from({ length: 60 }, (_, index) => String(index)));
    await Promise.all(sent);
  });

  it('sends equal messages as often as they are sent', async () => {
    const ann = await join(layer, 'red');
    await peer.sendAll([1, 2, 3].map(() => ({ group: 'red', message: note('hi') })));
    expect(await ann.take(3)).to.deep.equal(['hi', 'hi', 'hi']);
  });

  it('sends nothing where there is nothing to send', async () => {
    await peer.sendAll([]);
  });

  it('counts a channel once, however often it is added', async () => {
    const ann = await join(layer, 'red', 'red');
    await Promise.all([layer.add('red', ann.name), layer.add('red', ann.name)]);
    await peer.sendToGroup('red', note('one'));
    expect(await ann.next()).to.equal('one');
    await layer.discard('red', ann.name);
    await layer.discard('red', ann.name);
    await peer.sendToGroup('red', note('two'));
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('lets a channel leave and come again', async () => {
    const ann = await join(layer, 'red');
    for (let time = 0; time < 5; time += 1) {
      const left = layer.discard('red', ann.name);
      const joined = layer.add('red', ann.name);
      await Promise.all([left, joined]);
      await peer.sendToGroup('red', note(String(time)));
    }
    expect(await ann.take(5)).to.deep.equal(['0', '1', '2', '3', '4']);
  });

  it('keeps the others of a group when one leaves', async () => {
    const ann = await join(layer, 'red');
    const bob = await join(layer, 'red');
    await layer.discard('red', ann.name);
    await peer.sendToGroup('red', note('hi'));
    expect(await bob.next()).to.equal('hi');
    expect(ann.all()).to.deep.equal([]);
  });

  it('takes discarding from an unknown group for done', async () => {
    const ann = await join(layer, 'red');
    await layer.discard('blue', ann.name);
    await layer.discard('red', layer.newChannel());
    await peer.sendToGroup('red', note('hi'));
    expect(await ann.next()).to.equal('hi');
  });

  it('removes a channel that disconnects from all its groups', async () => {
    const ann = await join(layer, 'red', 'blue');
    const bob = await join(layer, 'red');
    await layer.disconnect(ann.name);
    await layer.disconnect(ann.name);
    await layer.connect(ann.name, ann.receive);
    await peer.sendToGroup('red', note('hi'));
    await peer.sendToGroup('blue', note('hi'));
    expect(await bob.next()).to.equal('hi');
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('adds nobody who is not connected', async () => {
    const channel = layer.newChannel();
    await layer.add('red', channel);
    const ann = new Listener(channel);
    await layer.connect(channel, ann.receive);
    await peer.sendToGroup('red', note('hi'));
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('shields sender and receivers from one that throws, and tells of it', async () => {
    const failures: unknown[] = [];
    layer.onFailure((error) => failures.push(error));
    const bad = layer.newChannel();
    await layer.connect(bad, () => {
      throw new Error('no');
    });
    await layer.add('red', bad);
    const ann = await join(layer, 'red');
    await peer.sendToGroup('red', note('one'));
    await peer.send(bad, note('two'));
    await peer.sendToGroup('red', note('three'));
    expect(await ann.take(2)).to.deep.equal(['one', 'three']);
    expect(failures.map(String)).to.deep.equal(['Error: no', 'Error: no', 'Error: no']);
  });

  it('lets a receiver leave and join while a message is delivered', async () => {
    const seen: unknown[] = [];
    const left = Promise.withResolvers<void>();
    const bad = layer.newChannel();
    await layer.connect(bad, ({ text }) => {
      seen.push(text);
      left.resolve(layer.discard('red', bad));
    });
    await layer.add('red', bad);
    const ann = await join(layer, 'red');
    await peer.sendToGroup('red', note('one'));
    await left.promise;
    await peer.sendToGroup('red', note('two'));
    expect(await ann.take(2)).to.deep.equal(['one', 'two']);
    await under.settled();
    expect(seen).to.deep.equal(['one']);
  });

  for (const { title, name } of [
    { title: 'spaces, quotes and non-ASCII characters', name: `room "ä" 'x' 🚀 {}*?:/` },
    { title: 'control characters', name: 'a\0b\nc\u2028' },
    { title: '500 characters', name: '語'.repeat(500) },
    { title: 'the name of a member of every object', name: '__proto__' },
  ]) {
    it(`takes a group's name of ${title}`, async () => {
      const ann = await join(layer, name);
      await peer.sendToGroup(name, note('hi'));
      expect(await ann.next()).to.equal('hi');
    });
  }

  for (const { title, name } of [
    { title: 'no character', name: '' },
    { title: '501 characters', name: 'x'.repeat(501) },
    { title: 'half a character', name: 'x\ud800' },
  ]) {
    it(`refuses a group's name of ${title}`, async () => {
      const { name: channel } = await join(layer);
      expect(await outcome(layer.add(name, channel))).to.be.instanceOf(RangeError);
      expect(await outcome(peer.sendToGroup(name, note('hi')))).to.be.instanceOf(RangeError);
    });
  }

  describe('hands over what the JSON text says:', () => {
    /** What a receiver gets of it, by group and by address. */
    async function received(message: ChannelMessage): Promise<ChannelMessage> {
      const ann = await join(layer, 'red');
      await peer.send(ann.name, message);
      const [one] = [await ann.inbox.take(patience)];
      await peer.sendToGroup('red', message);
      expect(await ann.inbox.take(patience)).to.deep.equal(one);
      return one;
    }

    const cases: readonly { title: string; sent: unknown; arrives: unknown }[] = [
      { title: 'plain values', sent: [1, null, { deep: 'ü' }, false], arrives: [1, null, { deep: 'ü' }, false] },
      { title: 'a date as its text', sent: new Date(0), arrives: '1970-01-01T00:00:00.000Z' },
      { title: 'a big integer as its text', sent: 2n ** 70n, arrives: '1180591620717411303424' },
      { title: 'a lone surrogate', sent: 'a\ud800b', arrives: 'a\ud800b' },
      { title: 'zero and line separators', sent: '\0\n\u2028', arrives: '\0\n\u2028' },
      { title: 'what toJSON gives', sent: { toJSON: () => ({ shown: true }) }, arrives: { shown: true } },
      { title: 'no number as null', sent: [Number.NaN, Number.POSITIVE_INFINITY], arrives: [null, null] },
      { title: 'undefined in a list as null', sent: [undefined], arrives: [null] },
      { title: 'a map as an empty object', sent: new Map([[1, 2]]), arrives: {} },
    ];
    for (const { title, sent, arrives } of cases) {
      it(title, async () =>
        expect(await received({ type: 'note', sent })).to.deep.equal({ type: 'note', sent: arrives }),
      );
    }

    it('no member that is undefined or a function', async () => {
      const message = await received({ type: 'note', nothing: undefined, work: () => {} });
      expect(Object.keys(message)).to.deep.equal(['type']);
    });

    it('a name that every object has', async () => {
      const message = await received(JSON.parse('{"type": "note", "__proto__": {"isAdmin": true}}'));
      expect(Object.keys(message)).to.deep.equal(['type', '__proto__']);
      expect('isAdmin' in message).to.equal(false);
    });

    it('as it was when it was sent', async () => {
      const ann = await join(layer, 'red');
      const message = { type: 'note', text: 'before', list: [1] };
      const sent = [
        peer.send(ann.name, message),
        peer.sendToGroup('red', message),
        peer.sendAll([{ group: 'red', message }]),
      ];
      message.text = 'after';
      message.list.push(2);
      await Promise.all(sent);
      for (let time = 0; time < 3; time += 1)
        expect(await ann.inbox.take(patience)).to.deep.equal({ type: 'note', text: 'before', list: [1] });
    });

    it('a copy: what a receiver does to it is not done to the sender', async () => {
      const ann = await join(layer);
      const list = [1];
      await peer.send(ann.name, { type: 'note', list });
      const message = await ann.inbox.take(patience);
      expect(message['list']).to.deep.equal([1]);
      expect(message['list']).not.to.equal(list);
    });

    it('nothing of what is no message', async () => {
      const ann = await join(layer, 'red');
      for (const bad of [
        { text: 'untyped' },
        { type: 1 },
        undefined,
        null,
        'note',
        { type: 'note', toJSON: () => 'note' },
      ]) {
        expect(await outcome(peer.send(ann.name, bad as never))).to.be.instanceOf(TypeError);
        expect(await outcome(peer.sendToGroup('red', bad as never))).to.be.instanceOf(TypeError);
      }
      await under.settled();
      expect(ann.all()).to.deep.equal([]);
    });
  });

  describe('has limits:', () => {
    it('refuses a message that is too large, names both sizes, and sends those beside it', async () => {
      await beginAnew({ largestMessage: 100 });
      const ann = await join(layer, 'red');
      const fits = note('ü'.repeat(37));
      const larger = note('ü'.repeat(38));
      const refusal = await outcome(
        peer.sendAll([fits, larger, note('last')].map((message) => ({ group: 'red', message }))),
      );
      expect(refusal).to.be.instanceOf(MessageTooLarge).and.include({ size: 101, limit: 100 });
      expect(await outcome(peer.send(ann.name, larger))).to.be.instanceOf(MessageTooLarge);
      expect(await ann.take(2)).to.deep.equal([fits['text'], 'last']);
      await under.settled();
      expect(ann.all()).to.deep.equal([]);
    });

    it('takes a message of 1 MiB by default, and none that is longer', async () => {
      const ann = await join(layer);
      const frame = JSON.stringify(note('')).length;
      const text = 'x'.repeat(1_048_576 - frame);
      await peer.send(ann.name, note(text));
      expect(await ann.next()).to.equal(text);
      expect(await outcome(peer.send(ann.name, note(`${text}x`)))).to.be.instanceOf(MessageTooLarge);
    });

    it('refuses more than may wait, and takes more when that is gone', async () => {
      await beginAnew({ largestBacklog: 100 });
      const ann = await join(layer, 'red');
      const sent = ['one', 'two', 'three', 'four'].map((text) => outcome(peer.sendToGroup('red', note(text))));
      expect((await Promise.all(sent)).map((error) => error instanceof ChannelLayerUnavailable)).to.deep.equal([
        ...[false, false, false],
        true,
      ]);
      expect(await ann.take(3)).to.deep.equal(['one', 'two', 'three']);
      await peer.sendToGroup('red', note('five'));
      expect(await ann.next()).to.equal('five');
    });
  });

  describe('at its end', () => {
    it('has delivered what it accepted before', async () => {
      const listener = await join(layer, 'red');
      const sent = Array.from({ length: 50 }, (_, index) => peer.sendToGroup('red', note(String(index))));
      await Promise.all([peer.close(), ...sent]);
      expect(await listener.take(50)).to.deep.equal(Array.from({ length: 50 }, (_, index) => String(index)));
    });

    it('has handed over all of a large group', async () => {
      const listeners: Listener[] = [];
      while (listeners.length < 600) listeners.push(await join(layer, 'red'));
      void layer.sendToGroup('red', note('hi'));
      await layer.close();
      expect(listeners.flatMap((listener) => listener.all())).to.deep.equal(listeners.map(() => 'hi'));
    });

    it('refuses what comes later, and delivers nothing any more', async () => {
      const ann = await join(layer, 'red');
      const bob = await join(layer);
      await layer.close();
      await layer.close();
      for (const late of [
        layer.send(ann.name, note('late')),
        layer.sendToGroup('red', note('late')),
        layer.sendAll([{ group: 'red', message: note('late') }]),
        layer.connect(bob.name, bob.receive),
        layer.add('blue', ann.name),
      ])
        expect(await outcome(late)).to.be.instanceOf(ChannelLayerUnavailable);
      await layer.discard('red', ann.name);
      await layer.disconnect(ann.name);
      if (peer !== layer) await peer.sendToGroup('red', note('hi'));
      expect(ann.all()).to.deep.equal([]);
    });

    it('ends where it was never used', async () => {
      await beginAnew({});
      await layer.close();
    });
  });
}

/**
 * What a layer does besides, when its server or the way to it fails.
 *
 * @param make with the time limit of both nodes, in milliseconds
 */
export function survivesItsServer(make: (timeLimit: number) => Promise<ServedLayerUnderTest>): void {
  let under: ServedLayerUnderTest;
  let layer: ChannelLayer;
  let peer: ChannelLayer;
  let gaps: number;

  async function begin(timeLimit: number): Promise<void> {
    under = await make(timeLimit);
    ({ layer, peer } = under);
    gaps = 0;
    layer.onGap(() => {
      gaps += 1;
    });
  }

  async function end(): Promise<void> {
    await under.server.resume();
    await Promise.all([layer.close(), peer.close()]);
    await under.proxy.close();
  }

  // What a busy machine is late with is no outage.
  beforeEach(() => begin(patience));
  afterEach(end);

  /** For a server that is silent, which only time tells. */
  async function beginImpatient(): Promise<void> {
    await end();
    await begin(1_000);
  }
  /** What the layer's own time limit says. The connection below it gives up later, with other words. */
  const late = 'The server of the channel layer did not answer within 1000 ms.';

  /** What all fail with, before the server is back. */
  async function refused(...calls: readonly Promise<unknown>[]): Promise<void> {
    for (const call of calls) {
      const error = await within(outcome(call), 'A refusal');
      expect(error).to.be.instanceOf(ChannelLayerUnavailable);
      expect(error).to.include({ status: 503, code: 'unavailable' });
      expect(error).to.have.property('retryAfter').that.is.within(1_000, 3_000);
    }
  }

  const isAway = (node: ChannelLayer) => async (): Promise<boolean> => (await outcome(node.check())) instanceof Error;
  const isBack = (node: ChannelLayer) => async (): Promise<boolean> => (await outcome(node.check())) === undefined;
  const hasTold = (count: number) => () => gaps === count;
  /** Of a node whose limit is short a busy machine may make a second outage. */
  const hasToldOfAny = (): boolean => gaps > 0;

  async function kill(): Promise<void> {
    await under.server.kill();
    for (const node of [layer, peer]) await until(isAway(node), 'The end of the connection');
  }

  async function resume(): Promise<void> {
    await under.server.resume();
    for (const node of [layer, peer]) await until(isBack(node), 'The return');
  }

  it('refuses everything while the server is away, and does not wait for it', async () => {
    const ann = await join(layer, 'red');
    const late = layer.newChannel();
    await kill();
    await refused(
      layer.send(ann.name, note('hi')),
      layer.sendToGroup('red', note('hi')),
      layer.sendAll([{ group: 'red', message: note('hi') }]),
      layer.connect(late, () => {}),
      layer.add('blue', ann.name),
    );
    await within(layer.discard('red', ann.name), 'Leaving');
    await within(layer.disconnect(ann.name), 'Disconnecting');
    await resume();
  });

  it('has its memberships back when the server is, and then tells of one gap', async () => {
    const ann = await join(layer, 'red', 'blue');
    const told = Promise.withResolvers<void>();
    layer.onGap(() => told.resolve(layer.sendAll(['red', 'blue'].map((group) => ({ group, message: note(group) })))));
    await kill();
    expect(gaps).to.equal(0);
    await resume();
    await within(told.promise, 'The gap');
    expect(await ann.take(2)).to.deep.equal(['red', 'blue']);
    await peer.send(ann.name, note('by address'));
    expect(await ann.next()).to.equal('by address');
    await under.settled();
    expect(gaps).to.equal(1);
    expect(ann.all()).to.deep.equal([]);
  });

  it('tells of each outage once', async () => {
    const ann = await join(layer, 'red');
    for (let outage = 1; outage <= 3; outage += 1) {
      await kill();
      await resume();
      await until(hasTold(outage), 'The gap');
    }
    await peer.sendToGroup('red', note('hi'));
    expect(await ann.next()).to.equal('hi');
    expect(gaps).to.equal(3);
  });

  it('has not in a group what could not be added, until it is added again', async () => {
    const ann = await join(layer);
    await kill();
    await refused(layer.add('red', ann.name));
    await resume();
    await until(hasTold(1), 'The gap');
    await peer.sendToGroup('red', note('one'));
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
    await layer.add('red', ann.name);
    await peer.sendToGroup('red', note('two'));
    expect(await ann.next()).to.equal('two');
  });

  it('leaves for good what is left while the server is away', async () => {
    const ann = await join(layer, 'red');
    const bob = await join(layer, 'red');
    const cem = await join(layer, 'blue');
    await kill();
    await layer.discard('red', ann.name);
    await layer.disconnect(cem.name);
    await resume();
    await peer.sendAll(['red', 'blue'].map((group) => ({ group, message: note('hi') })));
    expect(await bob.next()).to.equal('hi');
    await under.settled();
    expect([...ann.all(), ...cem.all()]).to.deep.equal([]);
  });

  it('works when the server comes only after it was used, and tells of a gap then', async () => {
    await under.server.kill();
    const channel = layer.newChannel();
    await refused(layer.connect(channel, () => {}));
    expect(gaps).to.equal(0);
    await resume();
    await until(hasTold(1), 'The gap');
    const ann = new Listener(channel);
    await layer.connect(channel, ann.receive);
    await peer.send(channel, note('hi'));
    expect(await ann.next()).to.equal('hi');
  });

  it('is not checked successfully while the server is away, and is when it is back', async () => {
    await layer.check();
    await kill();
    expect(await outcome(layer.check())).to.be.an('error');
    await resume();
    await layer.check();
  });

  it('tells why the connection was lost, once per outage', async () => {
    const failures: unknown[] = [];
    layer.onFailure((error) => failures.push(error));
    await join(layer);
    under.proxy.cut();
    await until(isAway(layer), 'The loss');
    await until(() => failures.length > 0, 'The word of it');
    under.proxy.mend();
    await until(hasTold(1), 'The gap');
    for (const failure of failures) expect(failure).to.be.an('error');
    expect(failures.length).to.be.within(1, 2);
  });

  it('notices a server that is silent, refuses in time what waits for it, and comes back', async () => {
    await beginImpatient();
    const lost = Promise.withResolvers<unknown>();
    layer.onFailure(lost.resolve);
    const ann = await join(layer, 'red');
    under.proxy.freeze();
    const adding = layer.add('blue', ann.name);
    await refused(layer.sendToGroup('red', note('lost')), layer.send(ann.name, note('lost')));
    expect(await within(lost.promise, 'The loss')).to.have.nested.property('cause.message', late);
    // Where the server has no part in it, the channel is in the group.
    await within(outcome(adding), 'Joining');
    under.proxy.cut();
    under.proxy.thaw();
    under.proxy.mend();
    await until(hasToldOfAny, 'The gap');
    await until(isBack(layer), 'The return');
    await peer.sendToGroup('red', note('hi'));
    const heard = await ann.next();
    expect(heard === 'lost' ? await ann.next() : heard).to.equal('hi');
  });

  it('notices a silent server where it sends nothing itself', async () => {
    await beginImpatient();
    const lost = Promise.withResolvers<unknown>();
    layer.onFailure(lost.resolve);
    await join(layer, 'red');
    under.proxy.freeze();
    expect(await within(lost.promise, 'The loss')).to.have.nested.property('cause.message', late);
    under.proxy.cut();
    under.proxy.thaw();
    under.proxy.mend();
    await until(hasToldOfAny, 'The gap');
  });

  it('loses nothing where the way is slow, and keeps the order', async () => {
    under.proxy.way = { delay: 30, bandwidth: 400_000 };
    const ann = await join(layer, 'red');
    const text = (index: number): string => `${index} ${'x'.repeat(2_000)}`;
    const all = Array.from({ length: 60 }, (_, index) => text(index));
    const sent = all.map((one, index) => (index % 2 ? peer : layer).sendToGroup('red', note(one)));
    const heard = (await ann.take(60)).map((one) => Number.parseInt(String(one), 10));
    await Promise.all(sent);
    for (const rest of [0, 1])
      expect(heard.filter((index) => index % 2 === rest)).to.deep.equal(
        Array.from({ length: 30 }, (_, index) => index * 2 + rest),
      );
    expect(gaps).to.equal(0);
  });

  it('loses nothing in silence, however often the way is cut', async () => {
    const ann = await join(layer, 'red');
    let sent = 0;
    let heardBefore = 0;
    for (let cut = 1; cut <= 4; cut += 1) {
      await until(isBack(layer), 'The return');
      const all = Array.from({ length: 40 }, () => peer.sendToGroup('red', note(String(sent++))));
      if (cut % 2) await nextTurn();
      else await Promise.all(all);
      under.proxy.cut();
      await Promise.all(all);
      under.proxy.mend();
      await until(hasTold(cut), 'The gap');
      heardBefore = sent;
    }
    await peer.sendToGroup('red', note('last'));
    const heard: unknown[] = [];
    while (heard.at(-1) !== 'last') heard.push(await ann.next());
    const numbers = heard.slice(0, -1).map(Number);
    expect(numbers).to.deep.equal([...new Set(numbers)].sort((one, other) => one - other));
    expect(heardBefore).to.equal(160);
    expect(gaps).to.equal(4);
  });

  it('ends in time, and without a word, while the server is away', async () => {
    await join(layer, 'red');
    await kill();
    await within(layer.close(), 'The end');
    await refused(layer.sendToGroup('red', note('late')));
  });

  it('ends in time where the server is silent', async () => {
    await beginImpatient();
    await join(layer, 'red');
    under.proxy.freeze();
    const sent = outcome(layer.sendToGroup('red', note('hi')));
    await within(layer.close(), 'The end');
    expect(await within(sent, 'The refusal')).to.be.instanceOf(ChannelLayerUnavailable);
  });
}

function note(text: string): ChannelMessage {
  return { type: 'note', text };
}

function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => error);
}
