import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { MemoryLogger, TestClock } from 'signalbox/testing';
import { Presence } from '../../src/chat/presence.js';
import { Room } from '../../src/entities/room.js';
import { User } from '../../src/entities/user.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';
import { unique } from '../support/unique.js';

describe('Presence', () => {
  const [tab, otherTab] = [{}, {}];
  const logger = new MemoryLogger();
  let orm: MikroORM;
  let clock: TestClock;
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
    clock = new TestClock();
    presence = process();
  });

  /** The `Presence` of another process on the same database. */
  function process(): Presence {
    return new Presence(orm.em, clock, logger);
  }

  async function beat(beating: Presence): Promise<void> {
    clock.advance(10_000);
    await beating.beat();
  }

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
    const tabs = Array.from({ length: 6 }, () => ({}));
    const moves: Promise<void>[] = [];
    for (const each of tabs)
      moves.push(presence.leave(room, ada, tab), presence.enter(room, ada, tab), presence.enter(room, grace, each));
    for (const each of tabs.slice(1)) moves.push(presence.leave(room, grace, each));
    await Promise.all(moves);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, grace, tabs[0] ?? {});
    expect(await inside()).to.deep.equal([ada]);
  });

  it('lists a user with connections to two processes until both have left', async () => {
    const other = process();
    await presence.enter(room, ada, tab);
    await other.enter(room, ada, otherTab);
    await other.enter(room, grace, otherTab);
    expect(await inside()).to.deep.equal([ada, grace]);
    await presence.leave(room, ada, tab);
    expect(await inside()).to.deep.equal([ada, grace]);
    await other.leave(room, ada, otherTab);
    expect(await inside()).to.deep.equal([grace]);
  });

  it('is right in the end, in whatever order they come and go in two processes', async () => {
    const other = process();
    const moves: Promise<void>[] = [];
    for (const each of [presence, other, presence, other])
      moves.push(each.enter(room, ada, tab), each.leave(room, ada, tab), each.enter(room, grace, tab));
    await Promise.all(moves);
    expect(await inside()).to.deep.equal([grace]);
  });

  it('lists no user that another process has expelled', async () => {
    await orm.em.fork().nativeUpdate(Room, room, { isPrivate: true });
    const other = process();
    await other.enter(room, ada, tab);
    expect(await inside(), 'no member').to.deep.equal([]);
    await orm.em.fork().nativeUpdate(Room, room, { isPrivate: false });
    await other.enter(room, ada, tab);
    await orm.em.fork().nativeUpdate(Room, room, { isPrivate: true });
    await presence.expel(room, ada);
    expect(await inside()).to.be.empty;
    await beat(other);
    expect(await inside()).to.be.empty;
  });

  it('lists who was inside a process that was killed for 30 seconds, and who is inside one that lives for longer', async () => {
    await presence.enter(room, ada, tab);
    const other = process();
    await other.enter(room, grace, tab);
    for (const expected of [[ada, grace], [ada, grace], [grace], [grace]]) {
      await beat(other);
      expect(await inside()).to.deep.equal(expected);
    }
    await other.stop();
    expect(await inside(), 'a process that stops takes its visits along').to.be.empty;
  });

  it('lists again who is inside a process that gave no sign of life for a while', async () => {
    await presence.enter(room, ada, tab);
    const now = clock.now().getTime();
    await new Presence(orm.em, new TestClock(new Date(now + 30_000)), logger).beat();
    expect(await inside()).to.be.empty;
    await beat(presence);
    expect(await inside()).to.deep.equal([ada]);
  });

  it('ends at the start what a process left that was killed 30 seconds ago', async () => {
    await presence.enter(room, ada, tab);
    clock.advance(30_000);
    const successor = process();
    await successor.start();
    expect(await inside()).to.be.empty;
    await successor.stop();
  });
});
