import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { Presence } from '../../src/chat/presence.js';
import { Room } from '../../src/entities/room.js';
import { User } from '../../src/entities/user.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

describe('Presence', () => {
  let orm: MikroORM;
  let presence: Presence;
  let room: number;
  let ada: number;
  let grace: number;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ({ orm } = await sharedDatabase());
  });
  beforeEach(async () => {
    const em = orm.em.fork();
    const users = ['ada', 'grace'].map((name) => em.create(User, { username: unique(name), passwordHash: 'hash' }));
    await em.flush();
    [ada = 0, grace = 0] = users.map(({ id }) => id);
    room = await em.insert(Room, { name: unique('room'), host: ada });
    presence = new Presence(orm.em);
  });

  async function inside(): Promise<number[]> {
    const found = await orm.em.fork().findOneOrFail(Room, room, { populate: ['currentUsers'] });
    return found.currentUsers
      .getItems()
      .map(({ id }) => id)
      .sort((one, other) => one - other);
  }

  it('lists who entered until they leave', async () => {
    await presence.enter(room, ada);
    await presence.enter(room, grace);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, ada);
    expect(await inside()).to.deep.equal([grace]);
  });

  it('lists a user with two connections until both have left', async () => {
    await Promise.all([presence.enter(room, ada), presence.enter(room, ada)]);
    await presence.leave(room, ada);
    expect(await inside()).to.deep.equal([ada]);
    await presence.leave(room, ada);
    expect(await inside()).to.be.empty;
  });

  it('is right in the end, in whatever order they come and go', async () => {
    await presence.enter(room, ada);
    const moves: Promise<void>[] = [];
    for (let i = 0; i < 10; i++)
      moves.push(presence.leave(room, ada), presence.enter(room, ada), presence.enter(room, grace));
    for (let i = 0; i < 9; i++) moves.push(presence.leave(room, grace));
    await Promise.all(moves);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, grace);
    expect(await inside()).to.deep.equal([ada]);
  });

  it('empties every room at the start', async () => {
    await presence.enter(room, ada);
    await new Presence(orm.em).start();
    expect(await inside()).to.be.empty;
  });
});
