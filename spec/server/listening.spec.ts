import { createServer } from 'node:http';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM, type Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { type App, createApp, path } from 'signalbox';
import type { MemoryLogger } from 'signalbox/testing';
import { describeDatabase } from '#signalbox/orm/database-facts.js';
import { offlineOrm } from '../support/offline-orm.js';
import { testProviders } from '../support/providers.js';
import { SilentConsumer } from '../support/serving.js';

const routes = [path('/ws/chat/', SilentConsumer), path('/ws/rooms/:room(int)/', SilentConsumer)];

describe('An application that serves', () => {
  let app: App;
  let logger: MemoryLogger;

  afterEach(() => app?.close());

  async function open(development = true): Promise<App> {
    const { container, logger: memory } = testProviders();
    logger = memory;
    app = createApp({ orm: await offlineOrm(), container, routes, settings: { development } });
    return app;
  }

  const lines = (): string[] => logger.at('info').map(({ message }) => message);
  const served = '(paths /ws/chat/, /ws/rooms/:room(int)/), database postgresql 127.0.0.1:1/none';

  for (const [host, shown] of [
    [undefined, 'localhost'],
    ['0.0.0.0', 'localhost'],
    ['127.0.0.1', '127.0.0.1'],
    ['localhost', 'localhost'],
    ['::1', '[::1]'],
  ]) {
    it(`says once where it listens, and with which database: host ${host}`, async () => {
      const { port } = await (await open()).listen(host === undefined ? {} : { host });
      expect(lines()).to.deep.equal([`listening on ws://${shown}:${port} ${served}`]);
    });
  }

  it('says so in production too', async () => {
    const { port } = await (await open(false)).listen();
    expect(lines()).to.deep.equal([`listening on ws://localhost:${port} ${served}`]);
  });

  it('says what it serves on a server of the application', async () => {
    await (await open()).attach(createServer());
    expect(lines()).to.deep.equal([`attached to an HTTP server ${served}`]);
  });

  const databases: readonly [Options, string][] = [
    [
      { clientUrl: 'postgresql://ann:s3cret@db.example.org:6543/chat?password=s3cret' },
      'postgresql db.example.org:6543/chat',
    ],
    [
      { dbName: 'chat', user: 'ann', password: 's3cret', host: '10.0.0.1', port: 5433 },
      'postgresql 10.0.0.1:5433/chat',
    ],
    [{ dbName: 'chat' }, 'postgresql 127.0.0.1:5432/chat'],
    [{ clientUrl: 'postgresql://ann:s3cret@%2Fvar%2Frun/chat' }, 'postgresql /var/run/chat'],
  ];
  for (const [options, text] of databases) {
    it(`names a database without user and password: ${text}`, async () => {
      const orm = await MikroORM.init({
        ...options,
        entities: [],
        metadataProvider: ReflectMetadataProvider,
        discovery: { warnWhenNoEntities: false },
      });
      expect(describeDatabase(orm)).to.equal(text);
    });
  }

  it('names an embedded database by its folder', async () => {
    const { PgliteDriver } = await import('@mikro-orm/pglite');
    const pglite = async (options: object): Promise<string> => {
      const { MikroORM } = await import('@mikro-orm/core');
      const common = { driver: PgliteDriver, entities: [], metadataProvider: ReflectMetadataProvider };
      return describeDatabase(await MikroORM.init({ ...common, discovery: { warnWhenNoEntities: false }, ...options }));
    };
    expect(await pglite({ dbName: './data' })).to.equal('pglite ./data');
    expect(await pglite({ dbName: 'memory://' })).to.equal('pglite memory://');
    expect(await pglite({ dbName: 'chat', driverOptions: { dataDir: './data' } })).to.equal('pglite ./data chat');
  });
});
