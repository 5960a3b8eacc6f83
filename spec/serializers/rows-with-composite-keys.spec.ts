import { Collection, PrimaryKeyProp } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, OneToMany, OneToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
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

@Entity()
class Guest {
  @PrimaryKey({ type: 'uuid' }) id!: string;
}

/** Its key is made of two relations, one of which has a key of several columns itself. */
@Entity()
class Booking {
  @ManyToOne(() => Guest, { primary: true }) guest!: Guest;
  @ManyToOne(() => Seat, { primary: true }) seat!: Seat;
  @OneToMany(
    () => Bill,
    (bill) => bill.booking,
  )
  bills = new Collection<Bill>(this);
  [PrimaryKeyProp]?: ['guest', 'seat'];
}

@Entity()
class Bill {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Booking, { nullable: true }) booking?: Booking | null;
  @ManyToMany(() => Booking, undefined, { owner: true }) shared = new Collection<Booking>(this);
}

/** Its whole key is a relation. */
@Entity()
class Note {
  @OneToOne(() => Booking, { primary: true, owner: true }) booking!: Booking;
  @Property({ type: 'string' }) text!: string;
  [PrimaryKeyProp]?: 'booking';
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

const guest = 'abcdef00-0000-4000-8000-000000000000';
const [one, other] = [
  { guest, seat: first },
  { guest, seat: second },
];

describe('Keys with a relation as a part', () => {
  const database = useDatabase('rows_relation_keys', [Seat, Ticket, Guest, Booking, Bill, Note]);
  beforeEach(async () => {
    await database.orm.em.execute(`
      insert into seat (row, number) values ('a', 9007199254740993), ('b', 2);
      insert into guest (id) values ('${guest}');
      insert into booking (guest_id, seat_row, seat_number) values ('${guest}', 'a', 9007199254740993), ('${guest}', 'b', 2);
      insert into note (booking_guest_id, booking_seat_row, booking_seat_number, text) values ('${guest}', 'b', 2, 'x');
      insert into bill (booking_guest_id, booking_seat_row, booking_seat_number) values ('${guest}', 'a', 9007199254740993), (null, null, null);
      insert into bill_shared (bill_id, booking_guest_id, booking_seat_row, booking_seat_number)
      values (1, '${guest}', 'b', 2), (1, '${guest}', 'a', 9007199254740993)`);
  });

  const shown: readonly (readonly [entity: unknown, fields: readonly string[], rows: readonly object[]])[] = [
    [
      Bill,
      ['id', 'booking', 'shared'],
      [
        { id: 1, booking: one, shared: [one, other] },
        { id: 2, booking: null, shared: [] },
      ],
    ],
    [
      Booking,
      ['guest', 'seat', 'bills'],
      [
        { ...one, bills: [1] },
        { ...other, bills: [] },
      ],
    ],
    [Note, ['booking', 'text'], [{ booking: other, text: 'x' }]],
  ];

  for (const [entity, fields, rows] of shown) {
    const { name } = entity as { readonly name: string };

    it(`make no entity where they are read, and are shown as entities show them (${name})`, async () => {
      const readOnly = fields;
      await using client = await RowClient.open(database.orm, entity, { fields, readOnly });
      const made = await entitiesMadeBy(async () => {
        expect(await client.send('list')).to.deep.equal([200, rows]);
      });
      expect(made).to.equal(0);
      const options = { fields, readOnly, computed: ['none'] };
      await using entities = await RowClient.open(database.orm, entity, options, undefined, { none: () => null });
      expect(await entities.send('list')).to.deep.equal([200, rows.map((row) => ({ ...row, none: null }))]);
    });
  }

  it('are shown alike by the reply, the event and each read', async () => {
    await using client = await RowClient.open(database.orm, Bill, { fields: ['id', 'booking', 'shared'] });
    expect(await client.created({ booking: one, shared: [other, one] })).to.deep.equal({
      id: 3,
      booking: one,
      shared: [one, other],
    });
    expect(await client.patched(3, { booking: null, shared: [other] })).to.deep.equal({
      id: 3,
      booking: null,
      shared: [other],
    });
    expect(await client.patched(1, { booking: other })).to.deep.equal({ id: 1, booking: other, shared: [one, other] });
  });
});
