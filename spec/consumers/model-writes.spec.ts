import { Collection, EntityManager, LockMode, type Rel, wrap } from '@mikro-orm/core';
import {
  BeforeUpdate,
  Entity,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryKey,
  Property,
} from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type ActionContext,
  type App,
  BulkPatch,
  Consumer,
  Create,
  createApp,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveRows,
  Patch,
  type Permission,
  Permissions,
  path,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { Country, CountrySerializer } from '../support/countries.js';
import { useDatabase } from '../support/database.js';
import { whileItWaits } from '../support/locks.js';
import { testProviders } from '../support/providers.js';
import { Maker, Ware, WareByEntityConsumer, WareConsumer, wareModels } from '../support/wares.js';

@Entity()
class Hooked {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;

  @BeforeUpdate() shout() {
    this.name = this.name.toUpperCase();
  }
}

@Entity()
class Triggered {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
class Linked {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @ManyToMany(() => Maker) makers = new Collection<Maker>(this);
}

@Entity()
class Branch {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Branch, { nullable: true }) parent?: Rel<Branch> | null;
  @OneToMany(
    () => Branch,
    ({ parent }) => parent,
  )
  twigs = new Collection<Branch>(this);
}

/** Sees what is not sold. */
@Consumer()
class OpenConsumer extends WareConsumer {
  protected override getQuery() {
    return { sold: false };
  }
}

@injectable()
class HookedSerializer extends ModelSerializer(Hooked, { fields: ['id', 'name'], readOnly: ['id'] }) {}

@Consumer()
class HookedConsumer extends mix(ModelConsumer(Hooked, { serializer: HookedSerializer }), Create, Patch) {}

@injectable()
class TriggeredSerializer extends ModelSerializer(Triggered, { fields: ['id', 'name'], readOnly: ['id'] }) {}

@Consumer()
class TriggeredConsumer extends mix(ModelConsumer(Triggered, { serializer: TriggeredSerializer }), Create, Patch) {}

@Consumer()
class CountryConsumer extends mix(
  ModelConsumer(Country, { serializer: CountrySerializer, filters: { fields: ['name'] } }),
  Create,
  Patch,
  BulkPatch,
  ObserveRows,
) {}

@injectable()
class LinkedSerializer extends ModelSerializer(Linked, { fields: ['id', 'name', 'makers'], readOnly: ['id'] }) {}

@Consumer()
class LinkedConsumer extends mix(ModelConsumer(Linked, { serializer: LinkedSerializer }), Create, Patch) {}

@injectable()
class StrictSerializer extends ModelSerializer(Ware, {
  fields: ['id', 'name', 'stock'],
  readOnly: ['id'],
  computed: ['label'],
  reads: { label: ['name'] },
}) {
  label({ name }: Pick<Ware, 'name'>) {
    if (name === 'unshowable') throw new Error('There is no label.');
    return name;
  }
}

@Consumer()
class StrictConsumer extends mix(ModelConsumer(Ware, { serializer: StrictSerializer }), Create) {}

let asked = 0;

/** Locks the maker of the wares, so that nothing else writes them meanwhile, and counts who asks. */
@injectable()
class LocksMaker implements Permission {
  constructor(private readonly em: EntityManager) {}

  async hasPermission() {
    asked += 1;
    const maker = await this.em.findOneOrFail(Maker, 1, { lockMode: LockMode.PESSIMISTIC_WRITE });
    maker.name = `asked ${asked}`;
    return true;
  }
}

@Consumer()
@Permissions(LocksMaker)
class LockedConsumer extends WareConsumer {}

/** Sees the wares without a maker, and those whose maker has a name. */
@Consumer()
class MadeConsumer extends WareConsumer {
  protected override getQuery() {
    return { $or: [{ maker: null }, { maker: { name: { $ne: '' } } }] };
  }
}

let seen: unknown;

class Sees implements Permission {
  hasObjectPermission(_context: ActionContext, row: Ware) {
    seen = { ...wrap(row).toObject(), isManaged: wrap(row).isManaged(), isWare: row instanceof Ware };
    return true;
  }
}

@Consumer()
@Permissions(Sees)
class SeenConsumer extends WareConsumer {}

class Grants implements Permission {
  hasPermission() {
    asked += 1;
    return true;
  }
}

@Consumer()
@Permissions(Grants)
class GrantedConsumer extends WareConsumer {}

@injectable()
class BranchSerializer extends ModelSerializer(Branch, { fields: ['id', 'parent', 'twigs'], readOnly: ['id'] }) {}

@Consumer()
class BranchConsumer extends mix(ModelConsumer(Branch, { serializer: BranchSerializer }), Create, Patch) {}

const word = fc.stringMatching(/^[a-zäß '"\\,{}]{0,12}$/);

const ware = fc.record(
  {
    note: fc.option(word),
    stock: fc.integer({ min: -2147483648, max: 2147483647 }),
    serial: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
    price: fc.option(fc.integer({ min: -99999, max: 99999 }).map((cents) => (cents / 100).toFixed(2))),
    weight: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
    sold: fc.boolean(),
    until: fc.option(
      fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => new Date(seconds * 1000).toISOString()),
    ),
    day: fc.option(
      fc.integer({ min: 0, max: 20_000 }).map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10)),
    ),
    extra: fc.option(fc.jsonValue({ maxDepth: 2, noUnicodeString: true }), { nil: { a: 1 } }),
    raw: fc.option(fc.jsonValue({ maxDepth: 2, noUnicodeString: true }), { nil: { b: [1, 'ä'] } }),
    words: fc.option(fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { maxLength: 3 })),
    image: fc.option(fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64'))),
    state: fc.option(fc.constantFrom('new', 'used')),
    maker: fc.option(fc.constantFrom(1, 2)),
  },
  { requiredKeys: [] },
);

describe('A write that needs no entity', () => {
  const database = useDatabase('model_writes', [...wareModels, Hooked, Triggered, Linked, Branch, Country]);
  let app: App;
  let wares: TestConnection;
  let entities: TestConnection;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    await em.insertMany(Maker, [
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Bob' },
    ]);
    app = createApp({
      orm: database.orm,
      container: testProviders().container,
      routes: [
        path('/wares/', WareConsumer),
        path('/entities/', WareByEntityConsumer),
        path('/open/', OpenConsumer),
        path('/hooked/', HookedConsumer),
        path('/triggered/', TriggeredConsumer),
        path('/linked/', LinkedConsumer),
        path('/countries/', CountryConsumer),
        path('/branches/', BranchConsumer),
        path('/strict/', StrictConsumer),
        path('/locked/', LockedConsumer),
        path('/granted/', GrantedConsumer),
        path('/seen/', SeenConsumer),
        path('/made/', MadeConsumer),
      ],
    });
    wares = await connect(app, '/wares/');
    entities = await connect(app, '/entities/');
  });
  afterEach(() => app.close());

  /** How many transactions MikroORM begins meanwhile. */
  async function beginsOf(work: () => Promise<unknown>): Promise<number> {
    const connection = database.orm.em.getConnection();
    const { begin } = connection;
    let count = 0;
    connection.begin = (...given) => {
      count += 1;
      return begin.apply(connection, given);
    };
    await work();
    connection.begin = begin;
    return count;
  }

  /** How many entries the work leaves in the log. */
  async function entriesOf(work: () => Promise<unknown>): Promise<number> {
    const connection = database.orm.em.getConnection();
    const count = async (): Promise<number> => {
      const [row] = await connection.execute<{ count: string }[]>('select count(*) from signalbox.log');
      return Number(row?.count);
    };
    const before = await count();
    await work();
    return (await count()) - before;
  }

  it('leaves one entry in the log, and none where it changes nothing', async () => {
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id } = data as { id: number };

    expect(await entriesOf(() => wares.request('patch', { pk: id, data: { stock: 5 } }))).to.equal(1);
    expect(await entriesOf(() => wares.request('patch', { pk: id, data: { stock: 5 } }))).to.equal(0);
  });

  it('is answered 404 for a row that is not there, also where the data do not fit', async () => {
    expect(await wares.request('patch', { pk: 99, data: { stock: 5 } })).to.deep.include({ response_status: 404 });
    expect(await wares.request('patch', { pk: 99, data: { stock: 'x' } })).to.deep.include({ response_status: 404 });
    expect(await wares.request('delete', { pk: 99 })).to.deep.include({ response_status: 404 });
  });

  it('is answered 409 where a value is taken', async () => {
    await wares.request('create', { data: { name: 'cup' } });
    const { data } = await wares.request('create', { data: { name: 'pot' } });

    expect(await wares.request('create', { data: { name: 'cup' } })).to.deep.include({
      response_status: 409,
      errors: [{ name: ['An object with this name already exists.'] }],
    });
    expect(await wares.request('patch', { pk: (data as { id: number }).id, data: { name: 'cup' } })).to.deep.include({
      response_status: 409,
    });
  });

  it('answers, tells and stores what the way through an entity does', async function () {
    this.timeout(60_000);
    let number = 0;
    await fc.assert(
      fc.asyncProperty(ware, ware, async (created, patched) => {
        number += 1;
        const both = [wares, entities] as const;
        const results = await Promise.all(
          both.map(async (client, index) => {
            const name = `w${number}-${index}`;
            const made = await client.request('create', { data: { ...created, name } });
            if (made['response_status'] !== 201)
              return JSON.stringify(made)
                .replaceAll(name, 'name')
                .replace(/"request_id":\d+/, '');
            const { id } = made['data'] as { id: number };
            await client.request('subscribe_instance', { pk: id, request_id: `s${number}` });
            const changed = await client.request('patch', { pk: id, data: patched });
            const marked = await client.request('patch', { pk: id, data: { name: `${name}!` } });
            const events = [];
            for (;;) {
              const event = await client.receive();
              events.push({ ...event, request_id: 0 });
              if ((event['data'] as { name: string }).name === `${name}!`) break;
            }
            const read = await client.request('retrieve', { pk: id });
            const gone = await client.request('delete', { pk: id });
            const last = await client.receive();
            const text = JSON.stringify([made, changed, marked, events, read, gone, last]);
            return text
              .replaceAll(`"id":${id}`, '"id":0')
              .replaceAll(`"pk":${id}`, '"pk":0')
              .replaceAll(name, 'name')
              .replaceAll(/"request_id":("[^"]*"|\d+)/g, '"request_id":0');
          }),
        );
        expect(results[0]).to.equal(results[1]);
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });

  it('answers and stores the same where permissions look at the row, and where the query leads to another table', async function () {
    this.timeout(60_000);
    const clients = [entities, await connect(app, '/seen/'), await connect(app, '/made/')];
    let number = 0;
    await fc.assert(
      fc.asyncProperty(ware, ware, async (created, patched) => {
        number += 1;
        const results = await Promise.all(
          clients.map(async (client, index) => {
            const name = `w${number}-${index}`;
            const made = await client.request('create', { data: { ...created, name } });
            const pk = (made['data'] as { id: number } | null)?.id ?? 0;
            const changed = await client.request('patch', { pk, data: patched });
            const again = await client.request('update', { pk, data: { ...patched, name } });
            const gone = await client.request('delete', { pk });
            const replies = [made, changed, again, gone].map((reply) => ({ ...reply, request_id: 0 }));
            return JSON.stringify(replies).replaceAll(`"id":${pk}`, '"id":0').replaceAll(name, 'name');
          }),
        );
        expect(new Set(results).size, results.join('\n')).to.equal(1);
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });

  it('writes lists as the way through entities does, in reply, event and row', async function () {
    this.timeout(60_000);
    const watching = await connect(app, '/wares/');
    await watching.request('subscribe_rows', { request_id: 'rows' });
    let number = 0;
    await fc.assert(
      fc.asyncProperty(ware, fc.array(ware, { minLength: 1, maxLength: 4 }), async (created, patches) => {
        number += 1;
        const results = [];
        for (const [index, { path: at }] of [
          { path: '/wares/' },
          { path: '/entities/' },
          { path: '/seen/' },
          { path: '/made/' },
        ].entries()) {
          await using client = await connect(app, at);
          const name = (place: number): string => `w${number}-${index}-${place}`;
          const made = await client.request('bulk_create', {
            data: patches.map((_, place) => ({ ...created, name: name(place) })),
          });
          const ids = ((made['data'] ?? []) as { id: number }[]).map(({ id }) => id);
          const data = patches.map((patch, place) => ({ pk: ids[place] ?? 0, data: patch })).reverse();
          const changed = await client.request('bulk_patch', { data });
          const missing = await client.request('bulk_delete', { pks: [...ids, 0] });
          const gone = await client.request('bulk_delete', { pks: [...ids].reverse() });
          const events = [];
          while (ids.length > 0) {
            const event = await watching.receive();
            events.push({ ...event, request_id: 0 });
            if (event['action'] === 'delete' && (event['data'] as { pk: number }).pk === ids[0]) break;
          }
          const replies = [made, changed, missing, gone].map((reply) => ({ ...reply, request_id: 0 }));
          let text = JSON.stringify([replies, events]);
          for (const [place, id] of ids.entries())
            text = text.replaceAll(`"id":${id},`, `"id":"i${place}",`).replaceAll(`"pk":${id}}`, `"pk":"i${place}"}`);
          results.push(text.replaceAll(`w${number}-${index}-`, 'name '));
        }
        expect(new Set(results).size, results.join('\n')).to.equal(1);
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });

  for (const { title, at } of [
    { title: 'plain rows', at: '/wares/' },
    { title: 'rows that permissions look at', at: '/seen/' },
    { title: 'rows of a query', at: '/open/' },
    { title: 'rows of a query that leads to another table', at: '/made/' },
  ])
    it(`is one transaction of its own for a list of ${title}, too, and one entry of the log`, async () => {
      const client = await connect(app, at);
      const begun = await beginsOf(async () => {
        const { data } = await client.request('bulk_create', { data: [{ name: 'cup' }, { name: 'pot' }] });
        const [cup, pot] = data as { id: number }[];
        const patches = [
          { pk: pot?.id, data: { stock: 2 } },
          { pk: cup?.id, data: { note: 'mine' } },
        ];
        expect(await entriesOf(() => client.request('bulk_patch', { data: patches }))).to.equal(1);
        expect(await entriesOf(() => client.request('bulk_patch', { data: patches }))).to.equal(0);
        expect(await client.request('bulk_delete', { pks: [pot?.id, cup?.id] })).to.include({ response_status: 204 });
      });
      expect(begun).to.equal(0);
    });

  for (const beside of ['/wares/', '/entities/'])
    it(`keeps what two clients write at once to different columns (the other one: ${beside})`, async () => {
      const { data } = await wares.request('create', { data: { name: 'cup' } });
      const { id } = data as { id: number };
      const other = await connect(app, beside);
      await other.request('subscribe_instance', { pk: id, request_id: 's' });
      const rounds = Array.from({ length: 60 }, (_, round) => round + 1);
      await Promise.all([
        ...rounds.map((round) => wares.request('patch', { pk: id, data: { stock: round } })),
        ...rounds.map((round) => other.request('patch', { pk: id, data: { note: `n${round}` } })),
      ]);
      const { data: row } = await wares.request('retrieve', { pk: id });

      expect(row).to.deep.include({ stock: 60, note: 'n60' });
      let last: unknown;
      while (JSON.stringify(last) !== JSON.stringify(row)) last = (await other.receive())['data'];
    });

  it('writes lists of the same rows one after the other, in whatever order they are named', async () => {
    const { data } = await wares.request('bulk_create', { data: ['cup', 'pot', 'jug'].map((name) => ({ name })) });
    const pks = (data as { id: number }[]).map(({ id }) => id);
    const other = await connect(app, '/wares/');
    const replies = await whileItWaits(
      database.orm.em,
      (em) => em.execute('select from ware where id = ? for update', [pks[1]]),
      () =>
        Promise.all([
          wares.request('bulk_patch', { data: pks.map((pk) => ({ pk, data: { stock: 1 } })) }),
          other.request('bulk_patch', { data: pks.map((pk) => ({ pk, data: { stock: 2 } })).reverse() }),
        ]),
      2,
    );
    expect(replies.map(({ response_status: status }) => status)).to.deep.equal([200, 200]);
    const rows = await database.orm.em.fork().find(Ware, {});
    expect(new Set(rows.map(({ stock }) => stock)).size).to.equal(1);
  });

  it('writes none of a list of which another transaction deletes a row meanwhile', async () => {
    const { data } = await wares.request('bulk_create', { data: ['cup', 'pot'].map((name) => ({ name })) });
    const [cup, pot] = (data as { id: number }[]).map(({ id }) => id);
    const patches = [
      { pk: cup, data: { stock: 1 } },
      { pk: pot, data: { stock: 1 } },
    ];
    const reply = await whileItWaits(
      database.orm.em,
      (em) => em.execute('delete from ware where id = ?', [pot]),
      () => wares.request('bulk_patch', { data: patches }),
    );
    expect(reply).to.deep.include({ response_status: 404, errors: [{ 1: ['Not found.'] }] });
    expect((await database.orm.em.fork().findOneOrFail(Ware, cup as number)).stock).to.equal(0);
  });

  it('is told to a client that begins to follow its row while others write it', async () => {
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id: pk } = data as { id: number };
    const other = await connect(app, '/wares/');
    const writing = Array.from({ length: 60 }, (_, round) =>
      wares.request('patch', { pk, data: { stock: round + 1 } }),
    );
    await writing[20];
    await other.request('subscribe_instance', { pk, request_id: 's' });
    await Promise.all(writing);
    const { data: row } = await wares.request('patch', { pk, data: { note: 'last' } });
    let last: unknown;
    while (JSON.stringify(last) !== JSON.stringify(row)) last = (await other.receive())['data'];
    expect(last).to.deep.include({ stock: 60, note: 'last' });
  });

  it('asks the query of the consumer of the row that it has locked', async () => {
    const open = await connect(app, '/open/');
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id: pk } = data as { id: number };

    expect(await open.request('patch', { pk, data: { sold: true } })).to.deep.include({ response_status: 200 });
    expect(await open.request('patch', { pk, data: { sold: false } })).to.deep.include({ response_status: 404 });
    expect(await open.request('delete', { pk })).to.deep.include({ response_status: 404 });
  });

  it('finds nothing where the row has left the query while it waited', async () => {
    const open = await connect(app, '/open/');
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id: pk } = data as { id: number };
    const patched = await whileItWaits(
      database.orm.em,
      (em) => em.execute('update ware set sold = true where id = ?', [pk]),
      () => open.request('patch', { pk, data: { note: 'mine' } }),
    );

    expect(patched).to.include({ response_status: 404 });
    expect((await wares.request('retrieve', { pk })).data).to.deep.include({ note: null, sold: true });
  });

  it('is answered 504 where another transaction keeps its row for longer than the action may take', async () => {
    const { data } = await wares.request('create', { data: { name: 'cup' } });
    const { id: pk } = data as { id: number };
    const short = createApp({
      orm: database.orm,
      container: testProviders().container,
      settings: { actionTimeLimit: 200 },
      routes: [path('/', WareConsumer)],
    });
    const client = await connect(short, '/');
    const locked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const holding = database.orm.em.fork().transactional(async (em) => {
      await em.execute('update ware set sold = true where id = ?', [pk]);
      locked.resolve();
      await answered.promise;
    });
    await locked.promise;
    const reply = await client.request('patch', { pk, data: { note: 'mine' } });
    answered.resolve();
    await holding;

    expect(reply).to.deep.include({ response_status: 504 });
    const { data: row } = await wares.request('retrieve', { pk });
    expect(row).to.deep.include({ note: null, sold: true });
    await short.close();
  });

  it('is one transaction of its own, which MikroORM does not begin', async () => {
    const begun = await beginsOf(async () => {
      const { data } = await wares.request('create', { data: { name: 'pot' } });
      const { id: pk } = data as { id: number };
      await wares.request('patch', { pk, data: { stock: 1 } });
      expect(await wares.request('delete', { pk })).to.include({ response_status: 204 });
    });
    expect(begun).to.equal(0);
  });

  it('goes through an entity while a subscriber of the ORM hears of transactions', async () => {
    let begun = 0;
    const subscriber = {
      afterTransactionStart: () => {
        begun += 1;
      },
    };
    const manager = database.orm.em.getEventManager();
    manager.registerSubscriber(subscriber);
    await wares.request('create', { data: { name: 'pot' } });
    manager.getSubscribers().delete(subscriber);
    expect(begun).to.equal(1);
  });

  it('goes through an entity where a hook of the ORM has a say', async () => {
    const hooked = await connect(app, '/hooked/');
    const { data } = await hooked.request('create', { data: { name: 'a' } });

    expect(await hooked.request('patch', { pk: (data as { id: number }).id, data: { name: 'b' } })).to.deep.include({
      data: { ...(data as object), name: 'B' },
    });
  });

  it('goes through an entity where a trigger acts behind it, and shows what that has stored', async () => {
    await database.orm.em.getConnection().execute(`
      create or replace function shout() returns trigger language plpgsql as $$
      begin
        if new.name <> upper(new.name) then update triggered set name = upper(name) where id = new.id; end if;
        return null;
      end $$;
      create or replace trigger shouting after insert or update on triggered for each row execute function shout()`);
    const triggered = await connect(app, '/triggered/');
    const { data } = await triggered.request('create', { data: { name: 'a' } });

    expect(data).to.deep.include({ name: 'A' });
  });

  it('goes through an entity where links are written with it', async () => {
    const linked = await connect(app, '/linked/');
    const { data } = await linked.request('create', { data: { name: 'a', makers: [2, 1] } });

    expect(data).to.deep.include({ name: 'a', makers: [1, 2] });
  });

  for (const [title, action, kwargs] of [
    ['a patch', 'patch', { pk: 'a', data: { code: 'b' } }],
    ['a list', 'bulk_patch', { data: [{ pk: 'a', data: { code: 'b' } }] }],
  ] as const)
    it(`tells a key that ${title} changes as a delete and a create`, async () => {
      const countries = await connect(app, '/countries/');
      await countries.request('create', { data: { code: 'a', name: 'cup' } });
      await countries.request('subscribe_rows', { request_id: 'rows' });
      expect(await countries.request(action, kwargs)).to.include({ response_status: 200 });
      const events = [await countries.receive(), await countries.receive()];
      expect(events.map(({ action: told, data }) => [told, data])).to.have.deep.members([
        ['delete', { pk: 'a' }],
        ['create', { code: 'b', name: 'cup' }],
      ]);
    });

  it('goes through an entity where rows of the same table are shown with it', async () => {
    const branches = await connect(app, '/branches/');
    const { data } = await branches.request('create', { data: {} });
    const { id } = data as { id: number };

    expect(await branches.request('patch', { pk: id, data: { parent: id } })).to.deep.include({
      data: { id, parent: id, twigs: [id] },
    });
  });

  it('has not happened where its row cannot be shown', async () => {
    const strict = await connect(app, '/strict/');

    expect(await strict.request('create', { data: { name: 'unshowable' } })).to.deep.include({ response_status: 500 });
    expect(await database.orm.em.fork().count(Ware)).to.equal(0);
  });

  it('has its permissions look at the row as MikroORM would have found it', async () => {
    const client = await connect(app, '/seen/');
    const given = {
      name: 'cup',
      stock: -5,
      serial: '9007199254740993',
      price: '12.50',
      weight: 0.1,
      until: '2026-01-31T12:00:00.500Z',
      day: '2026-01-31',
      extra: { a: [1, null, 'x'] },
      words: ['a', 'b c'],
      state: 'used',
      maker: 2,
    };
    const { data } = await client.request('create', { data: given });
    const { id } = data as { id: number };
    const found = wrap(await database.orm.em.fork().findOneOrFail(Ware, id)).toObject();
    await client.request('patch', { pk: id, data: { stock: 6 } });

    expect(seen).to.deep.equal({ ...found, isManaged: true, isWare: true });
  });

  it('is in one transaction with what its permissions lock and write, and is refused with it', async () => {
    asked = 0;
    const locked = await connect(app, '/locked/');
    const makerOf = async (): Promise<string> => (await database.orm.em.fork().findOneOrFail(Maker, 1)).name;

    expect(await locked.request('create', { data: { name: 'cup' } })).to.deep.include({ response_status: 201 });
    const first = await makerOf();
    expect(await locked.request('create', { data: { name: 'cup' } })).to.deep.include({ response_status: 409 });
    expect([first, await makerOf()]).to.deep.equal(['asked 2', 'asked 2']);
  });

  it('asks a permission that uses no database once', async () => {
    asked = 0;
    const granted = await connect(app, '/granted/');
    const { data } = await granted.request('create', { data: { name: 'cup' } });
    await granted.request('patch', { pk: (data as { id: number }).id, data: { stock: 1 } });

    expect(asked).to.equal(2);
  });
});
