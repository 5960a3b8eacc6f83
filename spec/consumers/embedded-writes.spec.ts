import { PGlite } from '@electric-sql/pglite';
import { expect } from 'chai';
import { type ActionContext, type App, Consumer, createApp, type Permission, Permissions, path } from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { embeddedDatabase } from '../support/embedded-database.js';
import { testProviders } from '../support/providers.js';
import { type Ware, WareByEntityConsumer, WareConsumer, wareModels } from '../support/wares.js';

class NotSold implements Permission {
  hasObjectPermission(_context: ActionContext, { sold }: Ware) {
    return !sold;
  }
}

@Consumer()
@Permissions(NotSold)
class JudgedConsumer extends WareConsumer {}

const specimens = [
  { name: 'plain' },
  { name: "it's", stock: -7, serial: '9007199254740993', price: '12.5', weight: 1e-7, sold: true },
  { name: 'dated', until: '2026-01-31T12:00:00.500Z', day: '2026-01-31', extra: { a: [1, null, '"x"'] } },
  { name: 'lists', words: ['a', 'b "c"', ''], image: 'AP8=', extra: [] },
];

describe('A write by one statement on PGlite', () => {
  const database = embeddedDatabase(wareModels);
  let app: App;
  let wares: TestConnection;

  before(async () => {
    app = createApp({
      orm: database.orm,
      container: testProviders().container,
      routes: [
        path('/wares/', WareConsumer),
        path('/entities/', WareByEntityConsumer),
        path('/judged/', JudgedConsumer),
      ],
    });
    wares = await connect(app, '/wares/');
  });
  after(() => app.close());

  /** The kinds of what is sent for the model, without what the log asks for itself. */
  async function statementsOf(work: () => Promise<unknown>): Promise<readonly string[]> {
    const { query } = PGlite.prototype;
    const sent: string[] = [];
    PGlite.prototype.query = function (this: PGlite, ...given: Parameters<typeof query>) {
      sent.push(given[0]);
      return Reflect.apply(query, this, given) as ReturnType<typeof query>;
    } as typeof query;
    try {
      await work();
    } finally {
      PGlite.prototype.query = query;
    }
    return sent.filter((text) => /ware|^(begin|commit)/i.test(text)).map((text) => text.split(' ')[0] ?? '');
  }

  it('is one statement, and two where permissions look at the row', async () => {
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id: pk } = data as { id: number };
    await using judged = await connect(app, '/judged/');
    await judged.request('patch', { pk, data: { stock: 1 } });

    expect(await statementsOf(() => wares.request('create', { data: { name: 'pot' } }))).to.deep.equal(['with']);
    expect(await statementsOf(() => wares.request('patch', { pk, data: { stock: 2 } }))).to.deep.equal(['with']);
    expect(await statementsOf(() => judged.request('patch', { pk, data: { stock: 3 } }))).to.deep.equal([
      'select',
      'with',
    ]);
    expect(await statementsOf(() => wares.request('delete', { pk }))).to.deep.equal(['with']);
    expect(await wares.request('delete', { pk })).to.deep.include({ response_status: 404 });
  });

  it('answers, tells and stores what the way through an entity does', async () => {
    await using entities = await connect(app, '/entities/');
    await using listener = await connect(app, '/wares/');
    await listener.request('subscribe_rows', { request_id: 'rows' });
    for (const specimen of specimens) {
      const seen: unknown[] = [];
      for (const client of [wares, entities]) {
        const created = await client.request('create', { data: specimen });
        const { id: pk } = created.data as { id: number };
        const told = await listener.receive();
        const patched = await client.request('patch', { pk, data: { name: 'old', extra: [pk > 0], words: null } });
        const toldAgain = await listener.receive();
        const stored = await client.request('retrieve', { pk });
        seen.push([created, told, patched, toldAgain, stored].map(({ data }) => ({ ...(data as Ware), id: 0 })));
        await client.request('delete', { pk });
        expect(await listener.receive()).to.deep.include({ action: 'delete', data: { pk } });
      }
      expect(seen[0]).to.deep.equal(seen[1]);
    }
    await listener.expectSilence();
  });

  it('is one statement for several rows too', async () => {
    const { data: created } = await wares.request('bulk_create', { data: [{ name: 'a' }, { name: 'b' }] });
    const data = (created as readonly Ware[]).map(({ id }, stock) => ({ pk: id, data: { stock } })).reverse();
    let rows: unknown;

    const patch = async (): Promise<void> => {
      rows = (await wares.request('bulk_patch', { data })).data;
    };
    expect(await statementsOf(patch)).to.deep.equal(['with']);
    expect((rows as readonly Ware[]).map(({ name, stock }) => [name, stock])).to.deep.equal([
      ['b', 1],
      ['a', 0],
    ]);
  });

  it('is answered 404 and 400 as any other', async () => {
    const { data } = await wares.request('create', { data: { name: 'sold', sold: true } });
    const { id: pk } = data as { id: number };
    await using judged = await connect(app, '/judged/');

    expect(await judged.request('patch', { pk, data: { stock: 1 } })).to.deep.include({ response_status: 404 });
    expect(await wares.request('patch', { pk, data: { stock: 'x' } })).to.deep.include({ response_status: 400 });
    expect(await wares.request('patch', { pk: 0, data: { stock: 1 } })).to.deep.include({ response_status: 404 });
  });
});
