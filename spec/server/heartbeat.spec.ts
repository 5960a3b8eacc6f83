import { expect } from 'chai';
import { ApiConsumer, Consumer, path } from 'signalbox';
import { connect, MemoryCounters, TestClock } from 'signalbox/testing';
import { Heartbeat, type Liveness, type LivingConnection } from '#signalbox/server/heartbeat.js';
import { defaultSettings, type HeartbeatSettings } from '#signalbox/settings.js';
import { GuardedCounters } from '#signalbox/telemetry.js';
import { until } from '../support/deadline.js';
import { gate, useServer } from '../support/serving.js';

/** A connection whose client answers pings while it lives. */
class Peer implements LivingConnection {
  readonly pings: number[] = [];
  readonly ends: unknown[] = [];
  sent = 0;
  isPaused = false;
  isClosed = false;
  isAlive = true;

  constructor(
    readonly liveness: Liveness,
    readonly clock: TestClock,
    readonly ended: (peer: Peer) => void,
  ) {}

  /** The client sends a frame. */
  speak(): void {
    this.liveness.heard += 1;
    this.liveness.isAwaited = false;
  }

  pong(): void {
    this.liveness.isAwaited = false;
  }

  ping(): void {
    this.pings.push(this.clock.now().getTime());
    if (this.isAlive) this.pong();
  }

  close(code: number): void {
    this.end(code);
  }

  terminate(): void {
    this.end('terminated');
  }

  end(how: unknown): void {
    this.ends.push(how);
    this.ended(this);
  }
}

/** Before the heartbeat knows of the connection. */
function unknownLiveness(): Liveness {
  return { slot: 0, isAwaited: false, heard: 0, frames: 0, changedAt: 0, openedAt: 0 };
}

/** Timers go on as they were where somebody sets the clock. */
class SetClock extends TestClock {
  set = 0;

  override now(): Date {
    return new Date(super.now().getTime() + this.set);
  }
}

describe('The heartbeat', () => {
  let clock: SetClock;
  let counters: MemoryCounters;
  let heartbeat: Heartbeat;
  let peers: Set<Peer>;

  function setUp(settings: Partial<HeartbeatSettings> = {}): void {
    clock = new SetClock();
    counters = new MemoryCounters();
    peers = new Set();
    heartbeat = new Heartbeat(
      { ...defaultSettings.heartbeat, ...settings },
      clock,
      new GuardedCounters(counters, () => {}),
      peers,
    );
  }

  function open(): Peer {
    const peer = new Peer(unknownLiveness(), clock, (ended) => {
      peers.delete(ended);
      heartbeat.closed();
    });
    peers.add(peer);
    heartbeat.opened(peer);
    return peer;
  }

  beforeEach(() => setUp());

  it('pings each socket every 25 s, and leaves those that answer', () => {
    const peer = open();
    clock.advance(100_000);
    expect(peer.pings).to.have.length(4);
    const [first = 0, second = 0] = peer.pings;
    expect(second - first).to.equal(25_000);
    expect(peer.ends).to.deep.equal([]);
  });

  it('cuts a socket that does not answer within 10 s: 37 s after it died at the latest', () => {
    const all = Array.from({ length: 50 }, () => open());
    clock.advance(30_000);
    for (const peer of all) peer.isAlive = false;
    clock.advance(37_000);
    expect(all.map(({ ends }) => ends)).to.deep.equal(all.map(() => ['terminated']));
    expect(counters.count('signalbox.dead_sockets')).to.equal(50);
    expect(counters.value('signalbox.connections')).to.equal(0);
  });

  it('takes any frame for a sign of life', () => {
    const peer = open();
    peer.isAlive = false;
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1_000);
      peer.speak();
    }
    expect(peer.ends).to.deep.equal([]);
  });

  it('leaves a socket alone that is paused, and pings it again afterwards', () => {
    const peer = open();
    peer.isAlive = false;
    peer.isPaused = true;
    clock.advance(100_000);
    expect([peer.pings, peer.ends]).to.deep.equal([[], []]);
    peer.isPaused = false;
    clock.advance(60_000);
    expect(peer.pings).to.have.length(1);
    expect(peer.ends).to.deep.equal(['terminated']);
  });

  it('spreads the pings, and has one timer for all of them', () => {
    const all = Array.from({ length: 100 }, () => open());
    expect(clock.waiting).to.equal(1);
    clock.advance(25_000);
    const moments = new Set(all.flatMap(({ pings }) => pings));
    expect(moments.size).to.equal(25);
  });

  it('has no timer where there are no sockets', () => {
    const peer = open();
    expect(counters.value('signalbox.connections')).to.equal(1);
    peer.end('left');
    expect(clock.waiting).to.equal(0);
    open();
    expect(clock.waiting).to.equal(1);
  });

  it('takes no client for dead because this process stood still', () => {
    const peer = open();
    peer.isAlive = false;
    clock.advance(1_500);
    expect(peer.pings).to.have.length(1);
    clock.stand(60_000);
    clock.advance(1_000);
    expect(peer.ends).to.deep.equal([]);
    peer.pong();
    clock.advance(10_000);
    expect(peer.ends).to.deep.equal([]);
  });

  it('keeps its times where the clock is set back or forward', () => {
    for (const hour of [-3_600_000, 3_600_000]) {
      setUp({ idleTimeLimit: 60_000, silentTimeLimit: 90_000 });
      const [gone, quiet] = [open(), open()];
      gone.isAlive = false;
      clock.advance(1_500);
      clock.set = hour;
      clock.advance(1_000);
      expect([gone.ends, quiet.ends]).to.deep.equal([[], []]);
      clock.advance(11_000);
      expect([gone.ends, quiet.ends]).to.deep.equal([['terminated'], []]);
      clock.advance(50_000);
      expect(quiet.ends).to.deep.equal([1000]);
    }
  });

  it('looks once a second, however seldom it pings', () => {
    setUp({ interval: 300_000, silentTimeLimit: 5_000 });
    const [silent, gone] = [open(), open()];
    gone.speak();
    gone.isAlive = false;
    clock.advance(6_000);
    expect([silent.ends, gone.ends]).to.deep.equal([[1008], []]);
    clock.advance(19_000);
    expect([gone.pings.length, gone.ends]).to.deep.equal([1, ['terminated']]);
    setUp({ interval: 2_147_483_647, silentTimeLimit: 5_000 });
    const other = open();
    clock.advance(6_000);
    expect([other.pings.length, other.ends]).to.deep.equal([1, [1008]]);
  });

  it('leaves idle and silent sockets alone unless it is told otherwise', () => {
    const peer = open();
    clock.advance(3_600_000);
    expect(peer.ends).to.deep.equal([]);
  });

  it('closes a socket without a frame in either direction with 1000', () => {
    setUp({ idleTimeLimit: 60_000 });
    const [idle, listening, asking] = [open(), open(), open()];
    for (let half = 0; half < 4; half += 1) {
      listening.sent += 1;
      asking.speak();
      clock.advance(30_000);
    }
    expect([idle, listening, asking].map(({ ends }) => ends)).to.deep.equal([[1000], [], []]);
  });

  it('closes a socket whose client has said nothing yet with 1008', () => {
    setUp({ silentTimeLimit: 10_000 });
    const [silent, talking] = [open(), open()];
    talking.speak();
    clock.advance(12_000);
    expect([silent, talking].map(({ ends }) => ends)).to.deep.equal([[1008], []]);
  });
});

let hook: PromiseWithResolvers<void>;
let left: number[];

@Consumer()
class SlowGoodbye extends ApiConsumer {
  protected override async onDisconnect(code: number) {
    left.push(code);
    await hook.promise;
  }
}

describe('The heartbeat of an application', () => {
  const serve = useServer();

  it('takes no connection for dead whose disconnect hook still runs', async () => {
    hook = gate();
    left = [];
    const { app, clock, counters } = serve([path('/', SlowGoodbye)], { settings: { actionTimeLimit: 1_000_000 } });
    const client = await connect(app, '/');
    client.close();
    await until(() => left.length === 1, 'The hook');
    clock.advance(100_000);
    expect(counters.count('signalbox.dead_sockets')).to.equal(0);
    hook.resolve();
    await client.ended;
    expect(left).to.deep.equal([1000]);
  });
});
