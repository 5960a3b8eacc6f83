import { expect } from 'chai';
import type { ChannelLayer, ChannelMessage } from 'signalbox';
import { Inbox } from '#signalbox/testing/inbox.js';
import { patience } from '../support/deadline.js';

/** What an implementation is tried with. */
export interface ChannelLayerUnderTest {
  readonly layer: ChannelLayer;
  /** A second node of the same layer, where it spans several processes. */
  readonly peer?: ChannelLayer;
  /** Resolves when everything that was sent has arrived. */
  settled(): Promise<void>;
}

/** A connected channel, with what it received. */
class Listener {
  readonly #inbox = new Inbox<ChannelMessage>();
  readonly receive = (message: ChannelMessage): void => this.#inbox.put(message);

  async next(): Promise<unknown> {
    return (await this.#inbox.take(patience))['text'];
  }

  all(): unknown[] {
    return this.#inbox.takeAll().map(({ text }) => text);
  }
}

/** The contract of DESIGN: every channel layer runs it. */
export function behavesLikeAChannelLayer(make: () => ChannelLayerUnderTest | Promise<ChannelLayerUnderTest>): void {
  let under: ChannelLayerUnderTest;
  let layer: ChannelLayer;
  let peer: ChannelLayer;

  beforeEach(async () => {
    under = await make();
    layer = under.layer;
    peer = under.peer ?? under.layer;
  });
  afterEach(async () => {
    await layer.close();
    if (peer !== layer) await peer.close();
  });

  async function join(channel: string, ...groups: string[]): Promise<Listener> {
    const listener = new Listener();
    await layer.connect(channel, listener.receive);
    for (const group of groups) await layer.add(group, channel);
    return listener;
  }

  it('sends to one channel', async () => {
    const ann = await join('ann');
    const bob = await join('bob');
    await peer.send('ann', note('hi'));
    expect(await ann.next()).to.equal('hi');
    await under.settled();
    expect(bob.all()).to.deep.equal([]);
  });

  it('hands over the whole message', async () => {
    const messages = new Inbox<ChannelMessage>();
    await layer.connect('ann', (message) => messages.put(message));
    await peer.send('ann', { type: 'note', list: [1, null, { deep: 'ü' }], flag: false });
    expect(await messages.take(patience)).to.deep.equal({ type: 'note', list: [1, null, { deep: 'ü' }], flag: false });
  });

  it('drops what is sent to nobody', async () => {
    await peer.send('nobody', note('hi'));
    await peer.sendToGroup('nobody', note('hi'));
    const nobody = await join('nobody', 'nobody');
    await under.settled();
    expect(nobody.all()).to.deep.equal([]);
  });

  it('sends to every channel of a group, and to no other', async () => {
    const ann = await join('ann', 'red', 'blue');
    const bob = await join('bob', 'red');
    const cem = await join('cem', 'blue');
    await peer.sendToGroup('red', note('hi'));
    expect(await ann.next()).to.equal('hi');
    expect(await bob.next()).to.equal('hi');
    await under.settled();
    expect([ann.all(), bob.all(), cem.all()]).to.deep.equal([[], [], []]);
  });

  it('keeps the order of one sender to one channel', async () => {
    const ann = await join('ann', 'red');
    for (let index = 0; index < 50; index++) {
      if (index % 2 === 0) await peer.send('ann', note(String(index)));
      else await peer.sendToGroup('red', note(String(index)));
    }
    const seen: unknown[] = [];
    while (seen.length < 50) seen.push(await ann.next());
    expect(seen).to.deep.equal(Array.from({ length: 50 }, (_, index) => String(index)));
  });

  it('counts a channel once, however often it is added', async () => {
    const ann = await join('ann', 'red', 'red');
    await peer.sendToGroup('red', note('one'));
    expect(await ann.next()).to.equal('one');
    await layer.discard('red', 'ann');
    await layer.discard('red', 'ann');
    await peer.sendToGroup('red', note('two'));
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('takes discarding from an unknown group for done', async () => {
    const ann = await join('ann', 'red');
    await layer.discard('blue', 'ann');
    await layer.discard('red', 'nobody');
    await peer.sendToGroup('red', note('hi'));
    expect(await ann.next()).to.equal('hi');
  });

  it('removes a channel that disconnects from all its groups', async () => {
    const ann = await join('ann', 'red', 'blue');
    const bob = await join('bob', 'red');
    await layer.disconnect('ann');
    await layer.disconnect('ann');
    await layer.connect('ann', ann.receive);
    await peer.sendToGroup('red', note('hi'));
    await peer.sendToGroup('blue', note('hi'));
    expect(await bob.next()).to.equal('hi');
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('adds nobody who is not connected', async () => {
    await layer.add('red', 'ann');
    const ann = await join('ann');
    await peer.sendToGroup('red', note('hi'));
    await under.settled();
    expect(ann.all()).to.deep.equal([]);
  });

  it('shields sender and receivers from one that throws', async () => {
    await layer.connect('bad', () => {
      throw new Error('no');
    });
    await layer.add('red', 'bad');
    const ann = await join('ann', 'red');
    await peer.sendToGroup('red', note('one'));
    await peer.send('bad', note('two'));
    await peer.sendToGroup('red', note('three'));
    expect([await ann.next(), await ann.next()]).to.deep.equal(['one', 'three']);
  });

  it('lets a receiver leave and join while a message is delivered', async () => {
    const seen: unknown[] = [];
    const left = Promise.withResolvers<void>();
    await layer.connect('bad', ({ text }) => {
      seen.push(text);
      left.resolve(layer.discard('red', 'bad'));
    });
    await layer.add('red', 'bad');
    const ann = await join('ann', 'red');
    await peer.sendToGroup('red', note('one'));
    await left.promise;
    await peer.sendToGroup('red', note('two'));
    expect([await ann.next(), await ann.next()]).to.deep.equal(['one', 'two']);
    await under.settled();
    expect(seen).to.deep.equal(['one']);
  });

  for (const { title, name } of [
    { title: 'spaces, quotes and non-ASCII characters', name: `room "ä" 'x' 🚀 {}*?:/` },
    { title: '500 characters', name: 'x'.repeat(500) },
    { title: 'the name of a member of every object', name: '__proto__' },
  ]) {
    it(`takes a group's name of ${title}`, async () => {
      const ann = await join('ann', name);
      await peer.sendToGroup(name, note('hi'));
      expect(await ann.next()).to.equal('hi');
    });
  }

  for (const { title, name } of [
    { title: 'no character', name: '' },
    { title: '501 characters', name: 'x'.repeat(501) },
  ]) {
    it(`refuses a group's name of ${title}`, async () => {
      await join('ann');
      expect(await outcome(layer.add(name, 'ann'))).to.be.instanceOf(RangeError);
      expect(await outcome(peer.sendToGroup(name, note('hi')))).to.be.instanceOf(RangeError);
    });
  }
}

function note(text: string): ChannelMessage {
  return { type: 'note', text };
}

function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => error);
}
