import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { type App, InMemoryChannelLayer, path } from 'signalbox';
import { connect, MemoryLogger, TestClock } from 'signalbox/testing';
import { within } from '../support/deadline.js';
import { SilentConsumer, useServer } from '../support/serving.js';

/** Lets nobody join before it is told to. */
class StuckLayer extends InMemoryChannelLayer {
  readonly answer = Promise.withResolvers<void>();

  override async add(group: string, channel: string): Promise<void> {
    await this.answer.promise;
    await super.add(group, channel);
  }
}

const warning =
  'The channel layer has not confirmed that this process has joined, so the process is not ready: check that connect and add settle, and that its server answers.';

describe('An application whose channel layer lets it not join', () => {
  const serve = useServer();
  let clock: TestClock;
  let logger: MemoryLogger;
  let layer: StuckLayer;
  let app: App;

  beforeEach(() => {
    layer = new StuckLayer();
    ({ app, clock, logger } = serve([path('/', SilentConsumer)], { channelLayer: layer }));
  });

  async function startLate(): Promise<void> {
    const started = app.start();
    await nextTurn();
    clock.advance(10_000);
    await within(started, 'The start');
  }

  it('starts after 10 s all the same, and says what to look at', async () => {
    await startLate();
    const warnings = logger.at('warn');
    expect(warnings.map(({ message }) => message)).to.deep.equal([warning]);
    expect(warnings[0]?.fields).to.include({ layer: 'StuckLayer', timeLimit: 10_000 });
    await within(app.start(), 'The second start');
    await using ann = await connect(app, '/');
    expect(ann.frames).to.deep.equal([]);
  });

  it('is not ready until it has joined', async () => {
    await startLate();
    expect((await app.readiness()).channelLayer).to.equal(false);
    layer.answer.resolve();
    await nextTurn();
    clock.advance(1_000);
    expect((await app.readiness()).channelLayer).to.equal(true);
    expect(logger.at('info').map(({ message }) => message)).to.include('This process has joined the channel layer.');
  });

  it('stays unready where joining fails in the end, and says so', async () => {
    await startLate();
    layer.answer.reject(new Error('gone'));
    await nextTurn();
    expect((await app.readiness()).channelLayer).to.equal(false);
    expect(logger.at('error').map(({ message }) => message)).to.include(
      'This process could not join the channel layer.',
    );
  });

  it('does not start where joining fails in time', async () => {
    const started = app.start().catch((error: unknown) => error);
    layer.answer.reject(new Error('gone'));
    expect(await within(started, 'The start'))
      .to.be.an('error')
      .with.property('message', 'gone');
  });
});
