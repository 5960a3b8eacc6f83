import { Collection } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { useDatabase } from '../support/database.js';
import { RowClient } from '../support/rows.js';

@Entity()
class Airport {
  @PrimaryKey({ type: 'character', columnType: 'char(4)' }) id!: string;
  @Property({ type: 'character', columnType: 'char(3)', nullable: true }) city?: string | null;
}

@Entity()
class Flight {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Airport) to!: Airport;
  @ManyToMany(() => Airport, undefined, { owner: true }) over = new Collection<Airport>(this);
}

describe('A column of a fixed length', () => {
  const database = useDatabase('fixed_length', [Airport, Flight]);
  const airports = () =>
    RowClient.open(
      database.orm,
      Airport,
      { fields: ['id', 'city'] },
      { filters: { fields: { city: ['exact', 'in', 'starts_with'] } } },
    );

  it('is shown alike everywhere, filled up as PostgreSQL stores it, as a key too', async () => {
    await using client = await airports();
    expect(await client.created({ id: 'ab', city: 'x' })).to.deep.equal({ id: 'ab  ', city: 'x  ' });
    expect(await client.created({ id: 'é𝄞', city: null })).to.deep.equal({ id: 'é𝄞  ', city: null });
    expect(await client.patched('ab', { city: 'yy' })).to.deep.equal({ id: 'ab  ', city: 'yy ' });
  });

  it('is looked up by the text with its blanks, and without', async () => {
    await using client = await airports();
    await client.created({ id: 'ab', city: 'x' });
    const row = { id: 'ab  ', city: 'x  ' };
    for (const pk of ['ab', 'ab ', 'ab  ']) expect(await client.send('retrieve', { pk })).to.deep.equal([200, row]);
    for (const filter of [{ city: 'x' }, { city: 'x  ' }, { city: { in: ['x'] } }, { city: { starts_with: 'x' } }])
      expect(await client.send('list', { filter })).to.deep.equal([200, [row]]);
    expect(await client.send('retrieve', { pk: 'abcde' })).to.deep.equal([404, ['Not found.']]);
  });

  it('is one key in a relation', async () => {
    await using airport = await airports();
    await airport.created({ id: 'ab', city: null });
    await using client = await RowClient.open(database.orm, Flight, { fields: ['id', 'to', 'over'] });
    expect(await client.created({ to: 'ab', over: ['ab'] })).to.deep.equal({ id: 1, to: 'ab  ', over: ['ab  '] });
  });
});
