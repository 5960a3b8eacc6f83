import { expect } from 'chai';
import { type ChannelMessage, InMemoryChannelLayer } from 'signalbox';
import { MessageSender } from '#signalbox/observers/message-sender.js';

/** Notes what is sent; it arrives when it is told to. */
class SlowLayer extends InMemoryChannelLayer {
  readonly sent: string[] = [];
  readonly arrivals: PromiseWithResolvers<void>[] = [];

  override async sendToGroup(group: string, { type }: ChannelMessage): Promise<void> {
    const arrival = Promise.withResolvers<void>();
    this.sent.push(`${type} ${group}`);
    this.arrivals.push(arrival);
    await arrival.promise;
  }
}

describe('The sender of messages', () => {
  let layer: SlowLayer;
  let sender: MessageSender;
  let failures: unknown[];
  const fail = (error: unknown): unknown => failures.push(error);

  beforeEach(() => {
    layer = new SlowLayer();
    sender = new MessageSender(layer);
    failures = [];
  });

  it('sends the next before the last has arrived, in their order', async () => {
    await sender.send(['red', 'blue'], { type: 'a' }, fail);
    await sender.send(['red'], { type: 'b' }, fail);
    expect(layer.sent).to.deep.equal(['a red', 'a blue', 'b red']);
  });

  it('is ready for no more than 100 that have not arrived', async () => {
    let ready = 0;
    const all = (async () => {
      for (; ready < 102; ready += 1) await sender.send(['red'], { type: 'a' }, fail);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ready).to.equal(100);
    for (const arrival of layer.arrivals.slice(0, 2)) arrival.resolve();
    await all;
    expect(layer.sent).to.have.length(102);
  });

  it('tells of what the layer could not send, and goes on', async () => {
    await sender.send(['red'], { type: 'a' }, fail);
    await sender.send(['red'], { type: 'b' }, fail);
    layer.arrivals[0]?.reject(new Error('gone'));
    layer.arrivals[1]?.resolve();
    await sender.arrived();
    expect(failures.map(String)).to.deep.equal(['Error: gone']);
  });
});
