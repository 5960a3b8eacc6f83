import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { type ChannelMessage, InMemoryChannelLayer } from 'signalbox';
import { MemoryLogger, TestClock } from 'signalbox/testing';
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
  let clock: TestClock;
  let logger: MemoryLogger;
  let failures: unknown[];
  const fail = (error: unknown): unknown => failures.push(error);

  beforeEach(() => {
    layer = new SlowLayer();
    clock = new TestClock();
    logger = new MemoryLogger();
    sender = new MessageSender({ layer, clock, logger, settings: { channelLayerTimeLimit: 10_000 } });
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
    await nextTurn();
    expect(ready).to.equal(100);
    for (const arrival of layer.arrivals.slice(0, 2)) arrival.resolve();
    await all;
    expect(layer.sent).to.have.length(102);
  });

  it('waits 10 s at most for a layer that never settles, says so once, and loses nothing', async () => {
    let ready = 0;
    const all = (async () => {
      for (; ready < 150; ready += 1) await sender.send([`group-${ready}`], { type: 'a' }, fail);
    })();
    await nextTurn();
    expect(ready).to.equal(100);
    clock.advance(9_999);
    await nextTurn();
    expect(ready).to.equal(100);
    clock.advance(1);
    await all;
    expect(layer.sent).to.deep.equal(Array.from({ length: 150 }, (_, each) => `a group-${each}`));
    const warnings = logger.at('warn');
    expect(warnings.map(({ message }) => message)).to.deep.equal([
      'The channel layer does not say that a message has arrived, which is not waited for any longer: see whether sendToGroup settles, and whether its server answers.',
    ]);
    expect(warnings[0]?.fields).to.include({ layer: 'SlowLayer', group: 'group-0', timeLimit: 10_000 });
  });

  it('is not held up by one message that never arrives while others do', async () => {
    for (let each = 0; each < 100; each += 1) {
      await sender.send(['red'], { type: 'a' }, fail);
      if (each > 0) layer.arrivals[each]?.resolve();
    }
    clock.advance(10_000);
    for (let each = 100; each < 300; each += 1) {
      await sender.send(['red'], { type: 'a' }, fail);
      layer.arrivals[each]?.resolve();
    }
    expect(layer.sent).to.have.length(300);
    expect(logger.at('warn')).to.have.length(1);
  });

  it('has nothing left to wait for once the time is over', async () => {
    await sender.send(['red', 'blue'], { type: 'a' }, fail);
    const arrived = sender.arrived();
    clock.advance(10_000);
    await arrived;
    expect(logger.at('warn')).to.have.length(1);
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
