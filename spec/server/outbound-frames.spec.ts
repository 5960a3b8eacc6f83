import { expect } from 'chai';
import { MemoryCounters, MemoryLogger, MemoryTransport, TestClock } from 'signalbox/testing';
import { Backpressure } from '#signalbox/server/backpressure.js';
import { OutboundFrames } from '#signalbox/server/outbound-frames.js';
import { defaultSettings, type OutboundSettings } from '#signalbox/settings.js';
import { within } from '../support/deadline.js';
import { memoryHeld } from '../support/memory.js';

const kilobyte = 'x'.repeat(1024);

/** A clock that somebody sets, forward or back. */
class SetClock extends TestClock {
  #offset = 0;

  override now(): Date {
    return new Date(super.now().getTime() + this.#offset);
  }

  set(milliseconds: number): void {
    this.#offset += milliseconds;
  }
}

/** Whose client neither reads nor says goodbye, and which tells what it is asked to do. */
class WitnessTransport extends MemoryTransport {
  readonly asked: string[] = [];

  override send(frames: readonly (string | Uint8Array)[], left?: () => void): boolean {
    this.asked.push(frames.join(', '));
    return super.send(frames, left);
  }

  override close(code: number): void {
    this.asked.push(`close ${code}`);
  }

  override terminate(): void {
    this.asked.push('terminate');
    super.terminate();
  }
}

/** Sends each frame in a tick of its own. */
class EachInItsTick extends OutboundFrames {
  override send(...parameters: Parameters<OutboundFrames['send']>): void {
    super.send(...parameters);
    this.flush();
  }

  override sendBinary(data: Uint8Array): void {
    super.sendBinary(data);
    this.flush();
  }
}

/** More than a socket is handed before its client has read any of it. */
const handed = 64;
/** Bytes that a waiting frame counts beside its text. */
const around = 160;

describe('What goes out', () => {
  let clock: SetClock;
  let counters: MemoryCounters;
  let logger: MemoryLogger;
  let backpressure: Backpressure;

  interface Client {
    readonly out: OutboundFrames;
    readonly transport: MemoryTransport;
    readonly got: string[];
    readonly closed: number[];
  }

  function setUp(settings: Partial<OutboundSettings> = {}): void {
    clock = new SetClock();
    counters = new MemoryCounters();
    logger = new MemoryLogger();
    const outbound = { ...defaultSettings.outbound, ...settings };
    backpressure = new Backpressure(outbound, 1_000, clock, counters, logger);
  }

  function open(): Client {
    const got: string[] = [];
    const closed: number[] = [];
    const transport = new MemoryTransport((text) => got.push(text));
    const out = new EachInItsTick(transport, backpressure);
    const onClose = (code: number): void => {
      out.end();
      closed.push(code);
    };
    transport.listen({ onText: () => {}, onBinary: () => {}, onClose });
    return { out, transport, got, closed };
  }

  beforeEach(() => setUp());

  it('leaves in its order, before a reader slows down and after', () => {
    const { out, transport, got } = open();
    out.send('first');
    transport.freeze();
    for (let each = 0; each < 200; each += 1) out.send(`${each} ${kilobyte}`);
    expect(got).to.deep.equal(['first']);
    transport.thaw();
    expect(got.map((text) => text.split(' ')[0])).to.deep.equal([
      'first',
      ...Array.from({ length: 200 }, (_, i) => `${i}`),
    ]);
    expect(out.pending).to.equal(0);
  });

  it('is counted in bytes until the client reads', () => {
    const { out, transport } = open();
    transport.freeze();
    out.send('é'.repeat(100));
    out.sendBinary(new Uint8Array(50));
    for (let each = 0; each < handed; each += 1) out.send(kilobyte);
    out.send('é'.repeat(100));
    expect(out.pending).to.equal(200 + 50 + handed * 1024 + 200 + around);
  });

  it('is not more than 1 MiB for one client: 4408, then the end', () => {
    const { out, transport, closed } = open();
    transport.freeze();
    for (let each = 0; each < handed + 830; each += 1) out.send(kilobyte);
    expect(out.pending).to.equal(1_048_256);
    expect(closed).to.deep.equal([]);
    out.send(kilobyte);
    expect(closed).to.deep.equal([4408]);
    expect(out.pending).to.equal(0);
    expect(counters.count('signalbox.slow_readers', { reason: 'size' })).to.equal(1);
    expect(logger.at('warn').map(({ message, fields }) => [message, fields['reason']])).to.deep.equal([
      ['A client that reads too slowly was cut.', 'size'],
    ]);
  });

  it('is a frame of any size where nothing waits before it', () => {
    const { out, got, closed } = open();
    out.send('x'.repeat(2_000_000));
    expect(got[0]).to.have.length(2_000_000);
    expect(closed).to.deep.equal([]);
  });

  it('waits no longer than 10 s for a client that does not read', () => {
    const { out, transport, closed } = open();
    transport.freeze();
    out.send('a');
    clock.advance(9_000);
    expect(closed).to.deep.equal([]);
    clock.advance(2_000);
    expect(closed).to.deep.equal([4408]);
    expect(counters.count('signalbox.slow_readers', { reason: 'time' })).to.equal(1);
    clock.advance(5_000);
    expect(clock.waiting).to.equal(0);
  });

  it('leaves in one write where it is sent in one tick', async () => {
    const transport = new WitnessTransport(() => {});
    const out = new OutboundFrames(transport, backpressure);
    out.send('a');
    out.send('b');
    await new Promise((resolve) => setImmediate(resolve));
    out.send('c');
    await new Promise((resolve) => setImmediate(resolve));
    expect(transport.asked).to.deep.equal(['a, b', 'c']);
  });

  it('is cut a second after the close that stands behind frames which the client does not read', () => {
    const transport = new WitnessTransport(() => {});
    const out = new OutboundFrames(transport, backpressure);
    transport.freeze();
    out.send('a');
    out.flush();
    clock.advance(10_000);
    expect(transport.asked.at(-1)).to.equal('close 4408');
    clock.advance(1_000);
    expect(transport.asked.at(-1)).to.equal('terminate');
  });

  it('cuts no client that reads, however slowly, as long as each frame leaves in time', () => {
    const { out, transport, closed } = open();
    for (let round = 0; round < 10; round += 1) {
      transport.freeze();
      out.send('a');
      clock.advance(8_000);
      transport.thaw();
    }
    expect(closed).to.deep.equal([]);
  });

  it('cuts no client where the clock is set forward, and cuts in time where it is set back', () => {
    const { out, transport, closed } = open();
    transport.freeze();
    out.send('a');
    clock.set(3_600_000);
    clock.advance(5_000);
    expect(closed).to.deep.equal([]);
    clock.set(-7_200_000);
    clock.advance(6_000);
    expect(closed).to.deep.equal([4408]);
  });

  it('cuts no client that read while this process stood still', () => {
    const { out, transport, closed } = open();
    transport.freeze();
    out.send('a');
    clock.stand(60_000);
    clock.advance(1);
    transport.thaw();
    clock.advance(30_000);
    expect(closed).to.deep.equal([]);
  });

  it('shares an event among all frames that wait with it', () => {
    const clients = Array.from({ length: 100 }, () => open());
    for (const { transport } of clients) transport.freeze();
    for (const { out } of clients) out.send('x'.repeat(64 * 1024));
    const before = memoryHeld();
    for (let event = 0; event < 10; event += 1) {
      const body = JSON.stringify(`${event} ${'é'.repeat(20_000)}`);
      for (const [id, { out }] of clients.entries()) out.send(`{"data":${body},"request_id":${id}}`, undefined, body);
    }
    expect(memoryHeld() - before).to.be.below(2_000_000);
    expect(clients[5]?.out.pending).to.equal(64 * 1024 + 10 * (40_004 + 24 + around));
    for (const { transport } of clients) transport.thaw();
    expect(clients[5]?.got[2]).to.match(/^.{9}1 é{20000}","request_id":5}$/);
  });

  it('sheds the worst reader first where all of them together take too much', () => {
    setUp({ totalLimit: 571_520 });
    const [bad, worse, good] = [open(), open(), open()];
    bad.transport.freeze();
    worse.transport.freeze();
    for (let each = 0; each < 200; each += 1) bad.out.send(kilobyte);
    for (let each = 0; each < 300; each += 1) worse.out.send(kilobyte);
    clock.advance(1_000);
    expect(counters.value('signalbox.outbound_bytes')).to.equal(571_520);
    expect([bad, worse, good].map(({ closed }) => closed)).to.deep.equal([[], [], []]);
    bad.out.send('!');
    clock.advance(1_000);
    expect([bad, worse, good].map(({ closed }) => closed)).to.deep.equal([[], [4408], []]);
    expect(counters.count('signalbox.slow_readers', { reason: 'total' })).to.equal(1);
  });

  it('sheds at once, and not only when it is looked for old frames', () => {
    setUp({ totalLimit: 300 * 1024 + (300 - handed) * around });
    const { out, transport, closed } = open();
    transport.freeze();
    for (let each = 0; each < 300; each += 1) out.send(kilobyte);
    expect(closed).to.deep.equal([]);
    out.send('!');
    expect(closed).to.deep.equal([4408]);
    expect(counters.count('signalbox.slow_readers', { reason: 'total' })).to.equal(1);
  });

  it('sheds somewhat more than it must, so that it need not look for the worst at each frame', () => {
    setUp({ totalLimit: 1_600 * 1024 });
    const clients = Array.from({ length: 20 }, () => open());
    for (const { transport } of clients) transport.freeze();
    for (const { out } of clients) for (let each = 0; each < 80; each += 1) out.send(kilobyte);
    clients[0]?.out.send('!');
    expect(clients.filter(({ closed }) => closed.length > 0)).to.have.length(2);
  });

  it('makes a sender wait until the client has read enough', async () => {
    const { out, transport } = open();
    expect(out.ready()).to.equal(undefined);
    transport.freeze();
    for (let each = 0; each < 64; each += 1) out.send(kilobyte);
    await within(Promise.resolve(out.ready()), 'Being ready at 64 KiB');
    out.send('!');
    const ready = out.ready();
    expect(ready).to.be.instanceOf(Promise);
    transport.thaw();
    await within(Promise.resolve(ready), 'Being ready');
    expect(out.pending).to.equal(0);
  });

  it('makes no sender wait for a client that is gone', async () => {
    const { out, transport } = open();
    transport.freeze();
    for (let each = 0; each < 100; each += 1) out.send(kilobyte);
    const waiting = [out.ready(), out.flushed()];
    transport.terminate();
    await within(Promise.all(waiting), 'The end of the wait');
    out.send('to nobody');
    expect(out.pending).to.equal(0);
  });

  it('lets the event loop turn for a sender without end whose client is gone', async () => {
    const { out, transport } = open();
    let turned = false;
    transport.terminate();
    setImmediate(() => {
      turned = true;
    });
    for (let each = 0; each < 1_000 && !turned; each += 1) {
      out.send(kilobyte);
      await out.ready();
    }
    expect(turned).to.equal(true);
  });

  it('conflates events above the soft limit only', () => {
    const { out, transport, got } = open();
    const event = (data: string): void =>
      out.send(`update ${data}`, { key: 'row', action: 'update', as: (action) => `${action} ${data}` });
    transport.freeze();
    event('1');
    event('2');
    for (let each = 0; each < handed; each += 1) out.send(kilobyte);
    event('3');
    event('4');
    event('5');
    transport.thaw();
    expect(got.filter((text) => text !== kilobyte)).to.deep.equal(['update 1', 'update 2', 'update 5']);
  });

  it('leaves events as they are while they wait below a soft limit that was raised', () => {
    setUp({ softLimit: 200 * 1024 });
    const { out, transport, got } = open();
    const event = (data: string): void => out.send(data, { key: 'row', action: 'update', as: () => data });
    transport.freeze();
    for (let each = 0; each < handed; each += 1) out.send(kilobyte);
    event('1');
    event('2');
    for (let each = 0; each < 200; each += 1) out.send(kilobyte);
    event('3');
    transport.thaw();
    expect(got.filter((text) => text !== kilobyte)).to.deep.equal(['1', '3']);
  });

  it('is sent before a close', () => {
    const { out, transport, got } = open();
    out.send('last words');
    out.close(1000, '');
    out.send('too late');
    expect(got).to.deep.equal(['last words']);
    expect(transport.unsent).to.equal(0);
  });

  it('leaves no timer once it has left', () => {
    const { out, transport } = open();
    transport.freeze();
    out.send('a');
    expect(clock.waiting).to.equal(1);
    transport.thaw();
    clock.advance(1_000);
    expect(clock.waiting).to.equal(0);
  });
});
