import { expect } from 'chai';
import { Announcer, type App } from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { event } from '../support/frames.js';
import { startApplication, startPlainWriter, startWorker } from '../support/processes.js';
import { serveShelves, shelfEntities } from '../support/shelf-service.js';
import { Thing } from '../support/things.js';

describe('Writes of another process, as DCRF recorded them', function () {
  this.timeout(60_000);
  const database = useDatabase('dcrf_another_process', shelfEntities);
  let app: App;
  let announcer: Announcer;

  before(() => {
    const served = serveShelves(database.orm, new MemoryLogger());
    app = served.app;
    announcer = served.container.resolve(Announcer);
  });
  after(() => app.close());

  it('S204 (differs) are told where that process runs the application or writes the change log, and else once they are announced', async () => {
    const url = database.orm.config.get('clientUrl') ?? '';
    await using ann = await connect(app, '/ws/');
    await ann.request('watch', { shelf: 1, request_id: 4 });
    const told = (count: number) => event('update', { id: 1, name: 'thing 1', shelf: 1, count }, 4);

    await using plain = await startPlainWriter({ url });
    await plain.ask('create', 1, [1]);
    await plain.ask('change', 1, { count: 1 });
    await ann.expectSilence();
    await announcer.announce(Thing, [1], 'update');
    expect(await ann.receive()).to.deep.equal(told(1));

    await using worker = await startWorker({ url });
    await worker.ask('change', 1, { count: 2 });
    expect(await ann.receive()).to.deep.equal(told(2));

    await using application = await startApplication({ url });
    await application.ask('change', 1, { count: 3 });
    expect(await ann.receive()).to.deep.equal(told(3));
    await ann.expectSilence();
  });
});
