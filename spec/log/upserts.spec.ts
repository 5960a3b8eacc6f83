import type { EntityManager, EventSubscriber } from '@mikro-orm/core';
import { expect } from 'chai';
import { type App, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { patience } from '../support/deadline.js';
import { embeddedDatabase } from '../support/embedded-database.js';
import { entities, Room, User } from '../support/entities.js';
import { RoomWatcher } from '../support/rooms.js';
import { useServer } from '../support/serving.js';

for (const { place, open } of [
  { place: 'PostgreSQL', open: () => useDatabase('upserts', entities) },
  { place: 'PGlite', open: () => embeddedDatabase(entities) },
]) {
  describe(`An upsert outside of any transaction on ${place}`, () => {
    const database = open();
    const serve = useServer();
    let app: App;

    beforeEach(async () => {
      await sql('truncate room, "user" restart identity cascade');
      ({ app } = serve([path('/', RoomWatcher)], { orm: database.orm }));
      await app.start();
    });

    const sql = <Row>(text: string): Promise<Row[]> => database.orm.em.getConnection().execute<Row[]>(text);
    const names = async () =>
      (await sql<{ name: string }>('select name from room order by id')).map(({ name }) => name);

    const ways: readonly (readonly [title: string, upsert: (em: EntityManager) => Promise<unknown>])[] = [
      ['of one row', (em) => em.upsert(Room, { name: 'lobby', archived: false })],
      ['of an entity', (em) => em.upsert(em.create(Room, { name: 'lobby' }, { persist: false }))],
      ['of several rows', (em) => em.upsertMany(Room, [{ name: 'lobby', archived: false }])],
      [
        'without an identity map',
        (em) => em.upsert(Room, { name: 'lobby', archived: false }, { disableIdentityMap: true }),
      ],
    ];

    for (const [title, upsert] of ways) {
      it(`${title} is told by its own commit`, async () => {
        await using ann = await connect(app, '/');
        await ann.request('watch', { request_id: 1 });
        await upsert(database.orm.em.fork());
        const { action, data } = await ann.receive({ timeout: patience });
        expect([action, data]).to.deep.equal(['create', { id: 1, name: 'lobby' }]);
        await ann.expectSilence();
        const [found] = await sql(
          'select room.xmin::text = l.xid::text as same from room, signalbox.log l order by l.id desc limit 1',
        );
        expect(found).to.deep.equal({ same: true });
      });

      it(`${title} is not stored where its entry cannot be`, async () => {
        await sql('alter table signalbox.log add constraint full_disk check (false) not valid');
        try {
          const failed = await upsert(database.orm.em.fork()).catch((error: Error) => error.constructor.name);
          expect(failed).to.equal('CheckConstraintViolationException');
          expect(await names()).to.deep.equal([]);
        } finally {
          await sql('alter table signalbox.log drop constraint full_disk');
        }
      });
    }

    it('that fails leaves its manager, and the connection, as they were', async () => {
      const em = database.orm.em.fork();
      const failed = await em.upsert(Room, { name: 'lobby', host: 7 }).catch((error: Error) => error.constructor.name);
      expect(failed).to.equal('ForeignKeyConstraintViolationException');
      expect(em.isInTransaction()).to.equal(false);
      await em.upsert(Room, { name: 'cellar', archived: false });
      expect(await names()).to.deep.equal(['cellar']);
    });

    it('leaves a hook of the application a connection, even the only one', async () => {
      const counted: number[] = [];
      const hook: EventSubscriber = {
        getSubscribedEntities: () => [Room],
        afterUpsert: async () => void counted.push((await names()).length),
      };
      const em = database.orm.em.fork({ freshEventManager: true });
      for (const each of database.orm.em.getEventManager().getSubscribers())
        em.getEventManager().registerSubscriber(each);
      em.getEventManager().registerSubscriber(hook);
      await using ann = await connect(app, '/');
      await ann.request('watch', { request_id: 1 });
      await em.upsert(Room, { name: 'lobby', archived: false });
      expect(counted).to.deep.equal([1]);
      expect((await ann.receive({ timeout: patience })).data).to.deep.equal({ id: 1, name: 'lobby' });
    });

    it('of a class that no application observes has no transaction', async () => {
      const em = database.orm.em.fork();
      const begun: string[] = [];
      const connection = em.getConnection();
      const { begin } = connection;
      connection.begin = (...given) => {
        begun.push('begin');
        return begin.apply(connection, given);
      };
      try {
        await em.upsert(User, { username: 'ann', password: 'x' });
        expect(begun).to.deep.equal([]);
        await em.upsert(Room, { name: 'lobby', archived: false });
        expect(begun).to.deep.equal(['begin']);
      } finally {
        connection.begin = begin;
      }
    });
  });
}
