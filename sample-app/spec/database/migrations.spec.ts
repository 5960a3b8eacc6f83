import { type MikroORM, UniqueConstraintViolationException, wrap } from '@mikro-orm/core';
import { expect } from 'chai';
import { type Database, migrate } from '../../src/database/open-database.js';
import { Message } from '../../src/entities/message.js';
import { Room } from '../../src/entities/room.js';
import { User } from '../../src/entities/user.js';
import { migrations } from '../../src/migrations/migrations.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

describe('migrations', () => {
  let database: Database;
  let orm: MikroORM;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    database = await sharedDatabase();
    ({ orm } = database);
  });

  async function givenUser(username = unique('ada')): Promise<User> {
    const em = orm.em.fork();
    const user = em.create(User, { username, passwordHash: 'hash' });
    await em.flush();
    return user;
  }

  it('make the schema that the entities describe', async () => {
    const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false });
    expect(difference.trim()).to.equal('');
  });

  it('are applied once', async () => {
    expect(await migrate(database)).to.be.empty;
    const executed = await orm.migrator.getExecuted();
    expect(executed.map(({ name }) => name)).to.deep.equal(migrations.map(({ name }) => name));
  });

  it('let a user name exist once', async () => {
    const { username } = await givenUser();
    await expectRejection(givenUser(username), UniqueConstraintViolationException);
  });

  it('let a room name exist once', async () => {
    const { id: host } = await givenUser();
    const name = unique('room');
    await orm.em.fork().insert(Room, { name, host });
    await expectRejection(orm.em.fork().insert(Room, { name, host }), UniqueConstraintViolationException);
  });

  it('keep room, message and users together', async () => {
    const user = await givenUser();
    const em = orm.em.fork();
    const host = em.getReference(User, user.id);
    const room = em.create(Room, { name: unique('room'), host });
    room.currentUsers.add(host);
    em.create(Message, { room, user: host, text: 'x'.repeat(500), createdAt: new Date(0) });
    await em.flush();

    const found = await orm.em.fork().findOneOrFail(Message, { room }, { populate: ['user', 'room.currentUsers'] });
    expect(found.text).to.have.length(500);
    expect(found.createdAt).to.deep.equal(new Date(0));
    expect(found.room.currentUsers.getItems().map(({ id }) => id)).to.deep.equal([user.id]);
  });

  it('keep the password hash out of what is serialized by itself', async () => {
    const user = await givenUser();
    expect(Object.keys(wrap(user).toObject())).to.deep.equal(['id', 'username']);
    expect(JSON.stringify(user)).not.to.include('hash');
  });
});

async function expectRejection(work: Promise<unknown>, type: new (...parameters: never[]) => Error): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(type);
}
