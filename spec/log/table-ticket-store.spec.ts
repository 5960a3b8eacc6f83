import { expect } from 'chai';
import { MemoryLogger, TestClock } from 'signalbox/testing';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { TableTicketStore } from '#signalbox/log/table-ticket-store.js';
import { defaultSettings } from '#signalbox/settings.js';
import { itIsATicketStore } from '../contracts/ticket-store-contract.js';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { until } from '../support/deadline.js';

describe('The ticket store in a table', () => {
  const database = useDatabase('table_ticket_store');
  const second = useSecondOrm(database);
  const { changeLog } = defaultSettings;
  let clock: TestClock;
  let logger: MemoryLogger;

  before(() => prepareLog(database.orm.em, changeLog, new MemoryLogger()));
  beforeEach(async () => {
    clock = new TestClock();
    logger = new MemoryLogger();
    await database.orm.em.execute('delete from signalbox.ticket');
  });

  const open = ({ orm }: typeof database): TableTicketStore =>
    new TableTicketStore(orm.em, changeLog, async () => {}, clock, logger);

  itIsATicketStore(
    async () => open(database),
    (time) => clock.advance(time.getTime() - clock.now().getTime()),
  );

  it('gives one of many that take at once in two processes', async () => {
    const [here, there] = [open(database), open(second)];
    const ticket = { identity: { userId: '1' }, origin: undefined, endsAt: new Date(clock.now().getTime() + 30_000) };
    await here.add('a', ticket);
    const taking = Array.from({ length: 20 }, (_, index) => (index % 2 ? here : there).take('a'));
    expect((await Promise.all(taking)).filter((one) => one !== undefined)).to.deep.equal([ticket]);
  });

  it('removes expired tickets when the next one is added', async () => {
    const store = open(database);
    const add = (key: string) =>
      store.add(key, {
        identity: { userId: '1' },
        origin: undefined,
        endsAt: new Date(clock.now().getTime() + 30_000),
      });
    const keys = async (): Promise<unknown> =>
      (await database.orm.em.execute<{ key: string }[]>('select key from signalbox.ticket')).map(({ key }) => key);
    await add('a');
    clock.advance(30_000);
    await add('b');
    await until(async () => JSON.stringify(await keys()) === '["b"]', 'The end of what nobody took');
  });

  it('rejects where the database fails, and knows the ticket afterwards', async () => {
    const store = open(database);
    await store.add('a', {
      identity: { userId: '1' },
      origin: undefined,
      endsAt: new Date(clock.now().getTime() + 9_000),
    });
    const ticket = { identity: { userId: '2' }, origin: undefined, endsAt: clock.now() };
    expect(await store.add('a', ticket).catch(() => 'rejected')).to.equal('rejected');
    expect(await store.take('a')).to.have.nested.property('identity.userId', '1');
  });
});
