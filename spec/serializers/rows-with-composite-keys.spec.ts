import { Collection } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, OneToMany, PrimaryKey } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { useDatabase } from '../support/database.js';
import { entitiesMadeBy } from '../support/made-entities.js';
import { RowClient } from '../support/rows.js';

@Entity()
class Seat {
  @PrimaryKey({ type: 'string' }) row!: string;
  @PrimaryKey({ type: 'bigint' }) number!: string;
  @OneToMany(
    () => Ticket,
    (ticket) => ticket.seat,
  )
  tickets = new Collection<Ticket>(this);
}

@Entity()
class Ticket {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Seat, { nullable: true }) seat?: Seat | null;
  @ManyToMany(() => Seat, undefined, { owner: true }) near = new Collection<Seat>(this);
}

const [first, second] = [
  { row: 'a', number: '9007199254740993' },
  { row: 'b', number: '2' },
];

describe('Keys of several columns', () => {
  const database = useDatabase('rows_composite_keys', [Seat, Ticket]);
  beforeEach(async () => {
    await database.orm.em.execute(`insert into seat (row, number) values ('a', 9007199254740993), ('b', 2)`);
  });
  const tickets = () => RowClient.open(database.orm, Ticket, { fields: ['id', 'seat', 'near'] });

  it('are shown alike by the reply, the event and each read, of one row and of many', async () => {
    await using client = await tickets();
    const ticket = { id: 1, seat: first, near: [first, second] };
    expect(await client.created({ seat: first, near: [second, first] })).to.deep.equal(ticket);
    expect(await client.patched(1, { seat: null, near: [second] })).to.deep.equal({
      id: 1,
      seat: null,
      near: [second],
    });
  });

  it('make no entity where they are read', async () => {
    await using client = await tickets();
    await client.created({ seat: first, near: [second] });
    const made = await entitiesMadeBy(async () => {
      const ticket = { id: 1, seat: first, near: [second] };
      expect(await client.send('list')).to.deep.equal([200, [ticket]]);
      expect(await client.send('retrieve', { pk: 1 })).to.deep.equal([200, ticket]);
    });
    expect(made).to.equal(0);
  });

  it('are those of a row whose own key has several columns, too', async () => {
    await using client = await tickets();
    await client.created({ seat: first, near: [] });
    await using seats = await RowClient.open(database.orm, Seat, { fields: ['row', 'number', 'tickets'] });
    const made = await entitiesMadeBy(async () => {
      expect(await seats.send('list')).to.deep.equal([
        200,
        [
          { ...first, tickets: [1] },
          { ...second, tickets: [] },
        ],
      ]);
    });
    expect(made).to.equal(0);
  });
});
