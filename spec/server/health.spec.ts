import { createServer } from 'node:http';
import { expect } from 'chai';
import { type App, type AppOptions, InMemoryChannelLayer, path, type Route } from 'signalbox';
import type { MemoryLogger, TestClock } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { until } from '../support/deadline.js';
import { useOfflineOrm } from '../support/offline-orm.js';
import { listening } from '../support/ports.js';
import { SilentConsumer, useServer } from '../support/serving.js';

class LostLayer extends InMemoryChannelLayer {
  override async check(): Promise<void> {
    throw new Error('Nobody answers.');
  }
}

class MuteLayer extends InMemoryChannelLayer {
  override check(): Promise<void> {
    return new Promise(() => {});
  }
}

describe('The health of a process', () => {
  const database = useDatabase('health');
  const offline = useOfflineOrm();
  const serve = useServer();
  let clock: TestClock;
  let logger: MemoryLogger;

  function open(options: Partial<AppOptions<readonly Route[]>> = {}): App {
    const served = serve([path('/', SilentConsumer)], { orm: database.orm, ...options });
    ({ clock, logger } = served);
    return served.app;
  }

  async function get(port: number, path: string, method = 'GET'): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return [response.status, response.headers.get('content-type'), await response.text()];
  }

  const json = (status: number, body: object): unknown => [status, 'application/json', JSON.stringify(body)];

  it('is answered by the server of the application', async () => {
    const { port } = await open().listen({ host: '127.0.0.1' });
    expect(await get(port, '/livez')).to.deep.equal(json(200, { isLive: true }));
    const ready = { isReady: true, database: true, channelLayer: true, changeLog: true, isEnding: false };
    expect(await get(port, '/readyz?verbose')).to.deep.equal(json(200, ready));
    expect(await get(port, '/livez', 'POST')).to.deep.equal(json(405, { errors: ['GET and HEAD only.'] }));
    expect(await get(port, '/other')).to.include(426);
  });

  it('is answered on a server that the application is attached to', async () => {
    const app = open();
    const server = createServer((request, response) => {
      if (!app.answerHealth(request, response)) response.end('A page.');
    });
    await app.attach(server);
    const port = await listening(server);
    expect(await get(port, '/livez')).to.include(200);
    expect(await get(port, '/')).to.include('A page.');
    server.close();
  });

  it('is 503 while the database cannot be reached', async () => {
    const { port } = await open({ orm: offline.orm }).listen({ host: '127.0.0.1' });
    const ready = { isReady: false, database: false, channelLayer: true, changeLog: true, isEnding: false };
    expect(await get(port, '/readyz')).to.deep.equal(json(503, ready));
    expect(await get(port, '/livez')).to.include(200);
    expect(logger.at('warn').map(({ message }) => message)).to.deep.equal(['The database cannot be reached.']);
  });

  it('is 503 while the channel layer cannot be reached', async () => {
    const readiness = await open({ channelLayer: new LostLayer() }).readiness();
    expect(readiness).to.deep.equal({
      isReady: false,
      database: true,
      channelLayer: false,
      changeLog: true,
      isEnding: false,
    });
    expect(logger.at('warn').map(({ message }) => message)).to.deep.equal(['The channel layer cannot be reached.']);
  });

  it('is 503 while the process is further behind the change log than it may be', async () => {
    const app = open({ settings: { changeLog: { lagTimeLimit: 200 } } });
    await app.start();
    const em = database.orm.em.fork();
    await em.begin();
    await em.execute('lock table signalbox.log in access exclusive mode', [], 'run');
    const idle = app.idle();
    const isBehind = async (): Promise<boolean> => {
      clock.advance(1_000);
      return !(await app.readiness()).changeLog;
    };
    await until(isBehind, 'The lag');
    expect(await app.readiness()).to.include({ isReady: false, database: true, changeLog: false });
    expect(logger.at('warn').map(({ message }) => message)).to.include(
      'The process is behind the database: its clients receive changes late.',
    );
    await em.commit();
    await idle;
    clock.advance(1_000);
    expect(await app.readiness()).to.include({ isReady: true, changeLog: true });
  });

  it('waits 2 s for an answer, and no longer', async () => {
    const app = open({ channelLayer: new MuteLayer() });
    const readiness = app.readiness();
    clock.advance(2_000);
    expect(await readiness).to.include({ isReady: false, channelLayer: false });
    expect(logger.at('warn').map(({ message }) => message)).to.include('The channel layer did not answer in time.');
  });

  it('is asked for once a second at most, however many probes there are', async () => {
    let asked = 0;
    class CountingLayer extends InMemoryChannelLayer {
      override async check(): Promise<void> {
        asked += 1;
      }
    }
    const app = open({ channelLayer: new CountingLayer() });
    await Promise.all(Array.from({ length: 20 }, () => app.readiness()));
    expect(asked).to.equal(1);
    clock.advance(1_000);
    await app.readiness();
    expect(asked).to.equal(2);
  });

  it('is not ready once the application ends', async () => {
    const app = open();
    expect((await app.readiness()).isReady).to.equal(true);
    await app.close();
    expect(await app.readiness()).to.include({ isReady: false, isEnding: true });
  });
});
