import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { Presence } from '../../src/chat/presence.js';
import { Room } from '../../src/entities/room.js';
import { User } from '../../src/entities/user.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

describe('Presence', () => {
  const [tab, otherTab] = [{}, {}];
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
    await presence.enter(room, ada, tab);
    await presence.enter(room, grace, tab);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, ada, tab);
    expect(await inside()).to.deep.equal([grace]);
  });

  it('lists a user with two connections until both have left', async () => {
    await Promise.all([presence.enter(room, ada, tab), presence.enter(room, ada, otherTab)]);
    await presence.leave(room, ada, tab);
    await presence.leave(room, ada, tab);
    expect(await inside()).to.deep.equal([ada]);
    await presence.leave(room, ada, otherTab);
    expect(await inside()).to.be.empty;
  });

  it('lists a user who was expelled and came back until the new connection leaves', async () => {
    await presence.enter(room, ada, tab);
    await presence.expel(room, ada);
    expect(await inside()).to.be.empty;
    await presence.enter(room, ada, otherTab);
    await presence.leave(room, ada, tab);
    expect(await inside()).to.deep.equal([ada]);
  });

  it('is right in the end, in whatever order they come and go', async () => {
    await presence.enter(room, ada, tab);
    const tabs = Array.from({ length: 10 }, () => ({}));
    const moves: Promise<void>[] = [];
    for (const each of tabs)
      moves.push(presence.leave(room, ada, tab), presence.enter(room, ada, tab), presence.enter(room, grace, each));
    for (const each of tabs.slice(1)) moves.push(presence.leave(room, grace, each));
    await Promise.all(moves);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, grace, tabs[0] ?? {});
    expect(await inside()).to.deep.equal([ada]);
  });

  it('empties every room at the start', async () => {
    await presence.enter(room, ada, tab);
    await new Presence(orm.em).start();
    expect(await inside()).to.be.empty;
  });
});
