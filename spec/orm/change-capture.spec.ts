import { type Opt, ref } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { recordChanges } from '../support/changes.js';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';
import { whileItWaits } from '../support/locks.js';

@Entity()
class Draft {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  text!: string;

  @Property({ version: true, type: 'integer' })
  version!: Opt<number>;
}

describe('A change of a row', () => {
  const database = useDatabase('model_subscriber');
  const recorded = recordChanges(database);
  let em: EntityManager;

  beforeEach(async () => {
    em = database.orm.em.fork();
    await em.execute(`insert into "user" (username, password) values ('ann', 'x'), ('bob', 'x')`);
    await em.execute(`insert into room (name, archived, host_id) values ('red', false, 1), ('blue', false, 2)`);
    await em.execute(`insert into message (room_id, text, user_id) values (1, 'hi', 1)`);
  });

  describe('carries the columns', () => {
    it('that a create wrote, those included that the database made', async () => {
      em.create(Room, { name: 'green' });
      await em.flush();
      expect(await only()).to.deep.equal({
        pk: 3,
        after: { id: 3, name: 'green', archived: false, host: null, members: [] },
      });
    });

    it('before and after an update', async () => {
      (await em.findOneOrFail(Message, 1)).text = 'ho';
      await em.flush();
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'ho', user: 1 },
      });
    });

    it('of a relation that was set to null', async () => {
      (await em.findOneOrFail(Message, 1)).user = null;
      await em.flush();
      expect((await only()).after).to.deep.equal({ id: 1, room: 1, text: 'hi', user: null });
    });

    it('of a relation that was set to undefined, which is stored as null', async () => {
      Reflect.set(await em.findOneOrFail(Message, 1), 'user', undefined);
      await em.flush();
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'hi', user: null },
      });
      expect((await database.orm.em.fork().findOneOrFail(Message, 1)).user).to.equal(null);
    });

    it('before a delete', async () => {
      em.remove(await em.findOneOrFail(Message, 1));
      await em.flush();
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('as they were stored, where the entity was changed before it was deleted', async () => {
      const message = await em.findOneOrFail(Message, 1);
      message.room = em.getReference(Room, 2);
      em.remove(message);
      await em.flush();
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('of a row that was deleted by reference', async () => {
      em.remove(em.getReference(Message, 1));
      await em.flush();
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('of a row that was deleted by reference inside a transaction', async () => {
      await em.transactional(async (inner) => void inner.remove(inner.getReference(Message, 1)));
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('of a row that was loaded in part and deleted', async () => {
      em.remove(await em.findOneOrFail(Message, 1, { fields: ['text'] }));
      await em.flush();
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('of a row that was loaded in part and updated', async () => {
      const message = await em.findOneOrFail(Message, 1, { fields: ['text'] });
      message.text = 'ho';
      await em.flush();
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'ho', user: 1 },
      });
    });

    it('of a row that was updated by reference', async () => {
      em.assign(em.getReference(Message, 1), { room: ref(em.getReference(Room, 2)) });
      await em.flush();
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 2, text: 'hi', user: 1 },
      });
    });

    it('of its own commit, however fast the next one follows', async () => {
      const message = await em.findOneOrFail(Message, 1);
      message.text = 'one';
      await em.flush();
      message.text = 'two';
      await em.flush();
      expect((await recorded.commits()).flat().map(({ after }) => after?.['text'])).to.deep.equal(['one', 'two']);
    });
  });

  it('is that of the row which was made anew with the same key while its writer waited', async () => {
    const late = database.orm.em.fork();
    late.remove(await late.findOneOrFail(Message, 1));
    const replace = async (inner: EntityManager): Promise<void> => {
      inner.remove(await inner.findOneOrFail(Message, 1));
      await inner.flush();
      inner.create(Message, { id: 1, room: 2, text: 'new' });
      await inner.flush();
    };
    await whileItWaits(em, replace, () => late.flush());
    expect(await recorded.told()).to.deep.equal([['update Message 1'], ['delete Message 1']]);
    expect((await recorded.commits()).at(-1)?.[0]?.before).to.include({ room: 2, text: 'new' });
  });

  it('is nothing where another transaction has deleted the row that is updated', async () => {
    const late = database.orm.em.fork();
    const message = await late.findOneOrFail(Message, 1);
    em.remove(await em.findOneOrFail(Message, 1));
    await em.flush();
    message.text = 'too late';
    await late.flush();
    expect(await recorded.told()).to.deep.equal([['delete Message 1']]);
  });

  it('is nothing where a reference to a row that is not there is deleted', async () => {
    em.remove(em.getReference(Message, 404));
    await em.flush();
    expect(await recorded.told()).to.deep.equal([]);
  });

  describe('is one with the other changes of that row in one commit:', () => {
    it('create then update is a create with the latest columns', async () => {
      await em.transactional(async (inner) => {
        const room = inner.create(Room, { name: 'green' });
        await inner.flush();
        room.name = 'yellow';
      });
      expect(await recorded.told()).to.deep.equal([['create Room 3']]);
      expect((await only()).after).to.include({ id: 3, name: 'yellow', archived: false });
    });

    it('update then update is one from the first columns to the last', async () => {
      await em.transactional(async (inner) => {
        const message = await inner.findOneOrFail(Message, 1);
        message.text = 'one';
        await inner.flush();
        message.text = 'two';
      });
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'two', user: 1 },
      });
    });

    it('update then delete is a delete of the first columns', async () => {
      await em.transactional(async (inner) => {
        const message = await inner.findOneOrFail(Message, 1);
        message.room = inner.getReference(Room, 2);
        await inner.flush();
        inner.remove(message);
      });
      expect(await only()).to.deep.equal({ pk: 1, before: { id: 1, room: 1, text: 'hi', user: 1 } });
    });

    it('create then delete is nothing', async () => {
      await em.transactional(async (inner) => {
        const room = inner.create(Room, { name: 'green' });
        await inner.flush();
        inner.remove(room);
      });
      expect(await recorded.told()).to.deep.equal([]);
    });

    it('create, update then delete is nothing', async () => {
      await em.transactional(async (inner) => {
        const room = inner.create(Room, { name: 'green' });
        await inner.flush();
        room.name = 'yellow';
        await inner.flush();
        inner.remove(room);
      });
      expect(await recorded.told()).to.deep.equal([]);
    });

    it('delete then create with the same key is an update', async () => {
      await em.transactional(async (inner) => {
        inner.remove(await inner.findOneOrFail(Message, 1));
        await inner.flush();
        inner.create(Message, { id: 1, room: 2, text: 'again' });
      });
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 2, text: 'again', user: null },
      });
    });

    it('away and back is one update', async () => {
      await em.transactional(async (inner) => {
        const message = await inner.findOneOrFail(Message, 1);
        message.room = inner.getReference(Room, 2);
        await inner.flush();
        message.room = inner.getReference(Room, 1);
      });
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'hi', user: 1 },
      });
    });

    it('two instances of one row count as one', async () => {
      await em.transactional(async (inner) => {
        (await inner.findOneOrFail(Message, 1)).text = 'one';
        await inner.flush();
        await inner.transactional(
          async (second) => {
            (await second.findOneOrFail(Message, 1)).text = 'two';
          },
          { clear: true },
        );
      });
      expect(await only()).to.deep.equal({
        pk: 1,
        before: { id: 1, room: 1, text: 'hi', user: 1 },
        after: { id: 1, room: 1, text: 'two', user: 1 },
      });
    });

    it('a create whose delete is rolled back to a savepoint is a create', async () => {
      await em.transactional(async (inner) => {
        const room = inner.create(Room, { name: 'green' });
        await inner.flush();
        const work = inner.transactional(async (nested) => {
          nested.remove(nested.getReference(Room, room.id));
          await nested.flush();
          throw new Error('no');
        });
        await work.catch(() => undefined);
      });
      expect(await recorded.told()).to.deep.equal([['create Room 3']]);
    });

    it('rows with equal keys of two tables are two', async () => {
      await em.transactional(async (inner) => {
        (await inner.findOneOrFail(Message, 1)).text = 'one';
        (await inner.findOneOrFail(Room, 1)).name = 'pink';
      });
      expect((await recorded.told()).flat()).to.have.members(['update Message 1', 'update Room 1']);
    });
  });

  describe('of a many-to-many collection counts as an update of its owner:', () => {
    it('add, without having loaded it', async () => {
      (await em.findOneOrFail(Room, 1)).members.add(em.getReference(User, 1));
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
      expect((await only()).before).to.deep.equal({ id: 1, name: 'red', archived: false, host: 1, members: [] });
      expect((await only()).after).to.deep.equal({ id: 1, name: 'red', archived: false, host: 1, members: [1] });
    });

    it('remove', async () => {
      await link();
      const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
      room.members.remove(em.getReference(User, 1));
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
    });

    it('set', async () => {
      const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
      room.members.set([em.getReference(User, 1), em.getReference(User, 2)]);
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
    });

    it('set of the same members is nothing', async () => {
      await link();
      const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
      room.members.set([em.getReference(User, 1)]);
      await em.flush();
      expect(await recorded.told()).to.deep.equal([]);
    });

    it('removeAll', async () => {
      await link();
      const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
      room.members.removeAll();
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
    });

    it('add of a row that is created by the same flush', async () => {
      const room = await em.findOneOrFail(Room, 1);
      room.members.add(em.create(User, { username: 'cem', password: 'x' }));
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['create User 3', 'update Room 1']]);
    });

    it('together with a column it is one update', async () => {
      const room = await em.findOneOrFail(Room, 1, { populate: ['members'] });
      room.members.add(em.getReference(User, 1));
      room.name = 'pink';
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
      expect((await only()).before).to.include({ name: 'red' });
      expect((await only()).after).to.include({ name: 'pink' });
    });

    it('of an owner that the commit creates it is a create', async () => {
      await em.transactional(async (inner) => {
        const room = inner.create(Room, { name: 'green' });
        await inner.flush();
        room.members.add(inner.getReference(User, 1));
      });
      expect(await recorded.told()).to.deep.equal([['create Room 3']]);
    });

    it('of an owner that the commit deletes it is a delete', async () => {
      await link();
      const room = await em.findOneOrFail(Room, 2, { populate: ['members'] });
      room.members.add(em.getReference(User, 1));
      em.remove(room);
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['delete Room 2']]);
    });

    it('inside a transaction it is told with the commit, and not after a rollback', async () => {
      await em.transactional(async (inner) => {
        (await inner.findOneOrFail(Room, 1)).members.add(inner.getReference(User, 1));
        await inner.flush();
        expect(await recorded.told()).to.deep.equal([]);
      });
      const work = em.transactional(async (inner) => {
        (await inner.findOneOrFail(Room, 2)).members.add(inner.getReference(User, 1));
        await inner.flush();
        throw new Error('no');
      });
      await work.catch(() => undefined);
      expect(await recorded.told()).to.deep.equal([['update Room 1']]);
    });

    it('of a flush that failed it is never told', async () => {
      (await em.findOneOrFail(Room, 1)).members.add(em.getReference(User, 1));
      em.create(Room, { name: 'red' });
      await em.flush().catch(() => undefined);
      em.clear();
      (await em.findOneOrFail(Message, 1)).text = 'ho';
      await em.flush();
      expect(await recorded.told()).to.deep.equal([['update Message 1']]);
    });
  });

  it('of an upsert is an update where a row was there, and a create where none was', async () => {
    await em.upsert(Message, { id: 1, room: 1, text: 'ha' });
    await em.upsert(Message, { id: 7, room: 1, text: 'new' });
    expect(await recorded.told()).to.deep.equal([['update Message 1'], ['create Message 7']]);
  });

  it('is not seen where the ORM tells nothing: bulk inserts, native queries and raw SQL', async () => {
    await em.nativeUpdate(Message, { id: 1 }, { text: 'ho' });
    await em.nativeDelete(Message, { id: 1 });
    await em.insertMany(Message, [{ room: 1, text: 'hi' }]);
    await em.execute(`update room set archived = true`);
    expect(await recorded.told()).to.deep.equal([]);
  });

  async function only() {
    const [change, ...others] = (await recorded.commits()).flat();
    expect(others).to.deep.equal([]);
    const { pk, before, after } = change ?? {};
    return { pk, ...(before && { before }), ...(after && { after }) };
  }

  async function link(): Promise<void> {
    await em.execute('insert into room_members (room_id, user_id) values (1, 1)');
  }
});

for (const needsBefore of [true, false]) {
  const observers = needsBefore ? 'observers need the row before the change' : 'observers need the key of the row only';

  describe(`A write that finds no row, where ${observers},`, () => {
    const database = useDatabase(`missed_rows_${needsBefore}`, [User, Room, Message, Draft]);
    const recorded = recordChanges(database, { needsBefore });
    let em: EntityManager;
    let late: EntityManager;

    beforeEach(async () => {
      em = database.orm.em.fork();
      late = database.orm.em.fork();
      await em.execute(`insert into room (name, archived) values ('red', false)`);
      await em.execute(`insert into message (room_id, text) values (1, 'one'), (1, 'two'), (1, 'three')`);
      await em.execute(`insert into draft (text) values ('one'), ('two')`);
    });

    it('is nothing where an earlier transaction has deleted the row that is updated', async () => {
      const message = await late.findOneOrFail(Message, 1);
      await remove(em, 1);
      message.text = 'too late';
      await late.flush();
      expect(await recorded.told()).to.deep.equal([['delete Message 1']]);
    });

    it('is nothing where the update waits for the transaction that deletes the row', async () => {
      (await late.findOneOrFail(Message, 1)).text = 'too late';
      await whileItWaits(
        em,
        (inner) => remove(inner, 1),
        () => late.flush(),
      );
      expect(await recorded.told()).to.deep.equal([['delete Message 1']]);
    });

    it('leaves out only itself among the updates of a flush', async () => {
      for (const message of await late.find(Message, {})) message.text = 'too late';
      await remove(em, 2);
      await late.flush();
      expect(await recorded.told()).to.deep.equal([['delete Message 2'], ['update Message 1', 'update Message 3']]);
    });

    it('makes a create of the same transaction no update', async () => {
      const message = await late.findOneOrFail(Message, 1);
      await remove(em, 1);
      await late.transactional(async (inner) => {
        message.text = 'too late';
        await inner.flush();
        inner.clear();
        inner.create(Message, { id: 1, room: 1, text: 'again' });
      });
      expect(await recorded.told()).to.deep.equal([['delete Message 1'], ['create Message 1']]);
    });

    it('leaves updates of the same transaction that find their rows', async () => {
      const [one, two] = await late.find(Message, {}, { orderBy: { id: 'asc' } });
      await remove(em, 1);
      await late.transactional(async (inner) => {
        if (one) one.text = 'too late';
        await inner.flush();
        if (two) two.text = 'in time';
      });
      expect(await recorded.told()).to.deep.equal([['delete Message 1'], ['update Message 2']]);
    });

    it('is nothing where a delete that was rolled back is tried again, and the row was deleted meanwhile', async () => {
      const message = await late.findOneOrFail(Message, 1);
      await late.begin();
      late.remove(message);
      await late.flush();
      await late.rollback();
      await remove(em, 1);
      late.remove(message);
      await late.flush();
      expect(await recorded.told()).to.deep.equal([['delete Message 1']]);
    });

    it('is nothing where an update that failed is followed by a delete, and the row was deleted meanwhile', async () => {
      const message = await late.findOneOrFail(Message, 1);
      message.text = 'x'.repeat(501);
      expect(await late.flush().catch((error: Error) => error.name)).to.equal('DriverException');
      await remove(em, 1);
      late.remove(message);
      await late.flush();
      expect(await recorded.told()).to.deep.equal([['delete Message 1']]);
    });

    // Where the row is locked before, MikroORM compares the versions after the wait, and refuses the flush.
    if (!needsBefore) {
      it('leaves out only itself among updates of versioned rows, whose versions were compared before', async () => {
        for (const draft of await late.find(Draft, {})) draft.text = 'too late';
        const write = async (inner: EntityManager) => {
          inner.remove(await inner.findOneOrFail(Draft, 1));
          await inner.flush();
        };
        await whileItWaits(em, write, () => late.flush());
        expect(await recorded.told()).to.deep.equal([['delete Draft 1'], ['update Draft 2']]);
      });
    }
  });
}

async function remove(em: EntityManager, id: number): Promise<void> {
  em.remove(await em.findOneOrFail(Message, id));
  await em.flush();
}
