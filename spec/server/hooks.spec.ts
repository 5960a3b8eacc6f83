import { expect } from 'chai';
import {
  ApiConsumer,
  type ApplicationHooks,
  Clock,
  Consumer,
  createApp,
  InMemoryChannelLayer,
  Logger,
  path,
} from 'signalbox';
import { MemoryLogger, TestClock } from 'signalbox/testing';
import { container } from 'tsyringe';
import { until, within } from '../support/deadline.js';
import { offlineOrm } from '../support/offline-orm.js';

@Consumer()
class SilentConsumer extends ApiConsumer {}

let stopped: string[] = [];

class First implements ApplicationHooks {
  stop(): void {
    stopped.push('first');
  }
}

let asked = Promise.withResolvers<void>();

class NeverStopping implements ApplicationHooks {
  stop(): Promise<void> {
    asked.resolve();
    return new Promise(() => {});
  }
}

class NeverStarting implements ApplicationHooks {
  start(): Promise<void> {
    return new Promise(() => {});
  }
}

class NeverClosing extends InMemoryChannelLayer {
  override close(): Promise<void> {
    return new Promise(() => {});
  }
}

class FailingLayer extends InMemoryChannelLayer {
  override async close(): Promise<void> {
    throw new Error('The line is dead.');
  }
}

interface Given {
  readonly hooks?: (new () => ApplicationHooks)[];
  readonly channelLayer?: InMemoryChannelLayer;
}

async function appWith(options: Given, clock = new Clock()) {
  const logger = new MemoryLogger();
  const child = container.createChildContainer();
  child.registerInstance<Logger>(Logger, logger);
  child.registerInstance(Clock, clock);
  const app = createApp({
    orm: await offlineOrm(),
    container: child,
    routes: [path('/ws/', SilentConsumer)],
    settings: { closeTimeout: 20 },
    ...options,
  });
  return { app, messages: () => logger.entries.map(({ message }) => message) };
}

describe('An application that closes', () => {
  beforeEach(() => {
    stopped = [];
    asked = Promise.withResolvers();
  });

  it('gives a stop hook up that never settles, and stops the others', async () => {
    const { app, messages } = await appWith({ hooks: [First, NeverStopping] });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['A stop hook did not end in time.']);
  });

  it('waits by the clock that is injected', async () => {
    const clock = new TestClock();
    const { app } = await appWith({ hooks: [First, NeverStopping] }, clock);
    await app.start();
    const closed = app.close();
    await within(asked.promise, 'The stop hook');
    await until(() => clock.waiting === 1, 'The time limit of the stop hook');
    clock.advance(19);
    await new Promise(setImmediate);
    expect(stopped).to.deep.equal([]);
    clock.advance(1);
    await within(closed, 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
  });

  it('does not wait for a start hook that never settles', async () => {
    const { app } = await appWith({ hooks: [First, NeverStarting] });
    void app.start().catch(() => {});
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
  });

  it('gives a channel layer up that never closes, and stops its hooks', async () => {
    const { app, messages } = await appWith({ hooks: [First], channelLayer: new NeverClosing() });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['The channel layer did not close in time.']);
  });

  it('logs that its channel layer cannot be closed, and stops its hooks', async () => {
    const { app, messages } = await appWith({ hooks: [First], channelLayer: new FailingLayer() });
    await app.start();
    await within(app.close(), 'The end of the application');
    expect(stopped).to.deep.equal(['first']);
    expect(messages()).to.deep.equal(['The channel layer could not be closed.']);
  });
});
