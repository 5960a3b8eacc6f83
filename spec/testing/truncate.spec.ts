import { expect } from 'chai';
import { truncate } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { Message, Room, User } from '../support/entities.js';

describe('truncate', () => {
  const database = useDatabase('truncate');

  for (const round of ['first', 'second']) {
    it(`empties every table and restarts its keys (${round} round)`, async () => {
      const em = database.orm.em.fork();
      const ann = em.create(User, { username: 'ann', password: 'x' });
      const room = em.create(Room, { name: 'red', host: ann, members: [ann] });
      em.create(Message, { room, text: 'hi', user: ann });
      await em.flush();
      expect([ann.id, room.id]).to.deep.equal([1, 1]);
      await truncate(database.orm);
      const counts = await Promise.all([em.fork().count(User), em.fork().count(Room), em.fork().count(Message)]);
      expect(counts).to.deep.equal([0, 0, 0]);
      expect(await em.fork().getConnection().execute('select * from room_members')).to.deep.equal([]);
    });
  }
});
