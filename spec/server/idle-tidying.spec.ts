import { expect } from 'chai';
import { type LogFields, Logger, type LogLevel, path } from 'signalbox';
import { connect, type LogEntry, MemoryLogger, TestClock } from 'signalbox/testing';
import { IdleTidying } from '#signalbox/server/idle-tidying.js';
import { within } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';
import { SilentConsumer, useServer } from '../support/serving.js';

/** Resolves with the first line about memory. */
class HeardLogger extends MemoryLogger {
  readonly #heard = Promise.withResolvers<LogEntry>();

  get heard(): Promise<LogEntry> {
    return within(this.#heard.promise, 'A line about memory');
  }

  protected override log(level: LogLevel, message: string, fields: LogFields = {}): void {
    super.log(level, message, fields);
    if (message.startsWith('The idle process')) this.#heard.resolve({ level, message, fields });
  }
}

describe('An idle process', () => {
  let clock: TestClock;
  let logger: HeardLogger;
  let utilization: number;
  let collections: number;
  let collect: () => Promise<number>;

  beforeEach(() => {
    clock = new TestClock();
    logger = new HeardLogger();
    utilization = 0.01;
    collections = 0;
    collect = async () => {
      collections += 1;
      return 270.4;
    };
  });

  function opened(count: number): IdleTidying {
    const tidying = new IdleTidying(3, clock, logger, { utilization: () => utilization, collect: () => collect() });
    for (let each = 0; each < count; each += 1) tidying.opened();
    return tidying;
  }

  it('gives memory back once, after so many new connections and a second', () => {
    const tidying = opened(3);
    clock.advance(999);
    expect(collections).to.equal(0);
    clock.advance(1);
    expect(collections).to.equal(1);
    tidying.opened();
    tidying.opened();
    clock.advance(60_000);
    expect(collections).to.equal(1);
    tidying.opened();
    clock.advance(1_000);
    expect(collections).to.equal(2);
  });

  it('keeps it while fewer connections have come', () => {
    opened(2);
    clock.advance(60_000);
    expect(collections).to.equal(0);
    expect(clock.waiting).to.equal(0);
  });

  it('waits while the event loop is busy', () => {
    utilization = 0.06;
    opened(3);
    clock.advance(60_000);
    expect(collections).to.equal(0);
    utilization = 0.05;
    clock.advance(1_000);
    expect(collections).to.equal(1);
  });

  it('logs the pause, and the memory before and after', async () => {
    opened(3);
    clock.advance(1_000);
    const { level, message, fields } = await logger.heard;
    expect(level).to.equal('info');
    expect(message).to.equal('The idle process released memory.');
    expect(fields).to.have.all.keys('pause', 'before', 'after');
    expect(fields).to.include({ pause: 270 });
  });

  it('logs why it could not', async () => {
    collect = async () => {
      throw new Error('no inspector');
    };
    opened(3);
    clock.advance(1_000);
    expect(await logger.heard).to.include({
      level: 'warn',
      message: 'The idle process could not release memory.',
    });
  });

  describe('of an application', () => {
    const serve = useServer();

    it('does so with the setting tidyAfterConnections', async () => {
      const { container, clock } = testProviders();
      container.registerInstance(Logger, logger);
      const { app } = serve([path('/', SilentConsumer)], { container, settings: { tidyAfterConnections: 2 } });
      const clients = [await connect(app, '/'), await connect(app, '/')];
      // The loop has to be idle in real time, which a clock that stands still does not tell.
      const ticks = setInterval(() => clock.advance(1_000), 50);
      try {
        expect(await logger.heard).to.include({ message: 'The idle process released memory.' });
      } finally {
        clearInterval(ticks);
      }
      await Promise.all(clients.map((client) => client.close()));
    });
  });
});
