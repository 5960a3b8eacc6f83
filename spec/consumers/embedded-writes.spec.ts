import { PGlite } from '@electric-sql/pglite';
import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import {
  type ActionContext,
  type App,
  BulkPatch,
  Consumer,
  Create,
  createApp,
  Delete,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveKinds,
  Patch,
  type Permission,
  Permissions,
  path,
  Update,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { embeddedDatabase } from '../support/embedded-database.js';
import { testProviders } from '../support/providers.js';

@Entity()
class Ware {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string', length: 40 }) name!: string;
  @Property({ type: 'integer', default: 0 }) stock: Opt<number> = 0;
  @Property({ type: 'bigint', nullable: true }) serial?: bigint | null;
  @Property({ type: 'decimal', precision: 10, scale: 2, nullable: true }) price?: string | null;
  @Property({ type: 'double', nullable: true }) weight?: number | null;
  @Property({ type: 'boolean', default: false }) sold: Opt<boolean> = false;
  @Property({ type: 'datetime', nullable: true }) until?: Date | null;
  @Property({ type: 'date', nullable: true }) day?: string | null;
  @Property({ type: 'json', nullable: true }) extra?: unknown;
  @Property({ columnType: 'text[]', nullable: true }) words?: string[] | null;
  @Property({ type: 'blob', nullable: true }) image?: Buffer | null;
}

@injectable()
class WareSerializer extends ModelSerializer(Ware, {
  fields: ['id', 'name', 'stock', 'serial', 'price', 'weight', 'sold', 'until', 'day', 'extra', 'words', 'image'],
  readOnly: ['id'],
}) {}

const base = mix(
  ModelConsumer(Ware, { serializer: WareSerializer }),
  Create,
  Update,
  Patch,
  Delete,
  ObserveKinds,
  BulkPatch,
);

@Consumer()
class WareConsumer extends base {}

/** Writes the same by entities, because the application has a say in it. */
@Consumer()
class EntityConsumer extends base {
  protected override async performCreate(...given: Parameters<WareConsumer['performCreate']>) {
    return super.performCreate(...given);
  }
  protected override async performUpdate(...given: Parameters<WareConsumer['performUpdate']>) {
    return super.performUpdate(...given);
  }
}

class NotSold implements Permission {
  hasObjectPermission(_context: ActionContext, { sold }: Ware) {
    return !sold;
  }
}

@Consumer()
@Permissions(NotSold)
class JudgedConsumer extends base {}

const specimens = [
  { name: 'plain' },
  { name: "it's", stock: -7, serial: '9007199254740993', price: '12.5', weight: 1e-7, sold: true },
  { name: 'dated', until: '2026-01-31T12:00:00.500Z', day: '2026-01-31', extra: { a: [1, null, '"x"'] } },
  { name: 'lists', words: ['a', 'b "c"', ''], image: 'AP8=', extra: [] },
];

describe('A write by one statement on PGlite', () => {
  const database = embeddedDatabase([Ware]);
  let app: App;
  let wares: TestConnection;

  before(async () => {
    app = createApp({
      orm: database.orm,
      container: testProviders().container,
      routes: [path('/wares/', WareConsumer), path('/entities/', EntityConsumer), path('/judged/', JudgedConsumer)],
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
    for (const action of ['create', 'update'])
      await listener.request('subscribe', { request_id: action, data: { action } });
    for (const specimen of specimens) {
      const seen: unknown[] = [];
      for (const client of [wares, entities]) {
        const created = await client.request('create', { data: specimen });
        const { id: pk } = created.data as { id: number };
        const told = await listener.receive();
        const patched = await client.request('patch', { pk, data: { name: 'old', extra: [pk > 0], words: null } });
        const toldAgain = await listener.receive();
        seen.push([created, told, patched, toldAgain].map(({ data }) => ({ ...(data as Ware), id: 0 })));
      }
      expect(seen[0]).to.deep.equal(seen[1]);
    }
    await listener.expectSilence();
  });

  it('goes through entities for several rows, and locks them', async () => {
    const created = [
      await wares.request('create', { data: { name: 'a' } }),
      await wares.request('create', { data: { name: 'b' } }),
    ];
    const data = created.map((each, stock) => ({ pk: (each.data as Ware).id, data: { stock } })).reverse();

    const { data: rows } = await wares.request('bulk_patch', { data });
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
