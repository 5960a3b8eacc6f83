import { Embeddable, Embedded, Entity, Enum, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { ArrayMaxSize, Length, ValidateNested } from 'class-validator';
import { useDatabase } from '../support/database.js';
import { RowClient } from '../support/rows.js';

@Embeddable()
class Place {
  @Property({ type: 'double' })
  north!: number;

  @Property({ type: 'double', default: 0 })
  east = 0;
}

enum Floor {
  ground = 'ground',
  first = 'first',
}

@Embeddable()
class Address {
  @Length(2, 20)
  @Property({ type: 'string', length: 10 })
  street!: string;

  @Property({ type: 'datetime', nullable: true })
  since?: Date | null;

  @Property({ type: 'bigint', nullable: true })
  number?: bigint | null;

  @Enum({ items: () => Floor, nullable: true })
  floor?: Floor | null;

  @Property({ type: 'string', hidden: true, nullable: true })
  code?: string | null;

  @Embedded(() => Place, { nullable: true })
  place?: Place | null;
}

@Entity()
class Person {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Embedded(() => Address, { nullable: true })
  inline?: Address | null;

  @ValidateNested()
  @Embedded(() => Address, { nullable: true, object: true })
  object?: Address | null;

  @ArrayMaxSize(2)
  @Embedded(() => Address, { array: true, nullable: true })
  list?: Address[] | null;

  @Embedded(() => Place, { nullable: true, prefix: 'at_' })
  place?: Place | null;
}

@Entity()
class Shop {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Embedded(() => Address)
  address!: Address;
}

const full = {
  street: 'Oak',
  since: '2026-01-31T12:00:00.000Z',
  number: '9007199254740993',
  floor: 'first',
  place: { north: 1.5, east: 2 },
};
const least = { street: 'Elm', since: null, number: null, floor: null, place: null };

describe('An embedded value', () => {
  const database = useDatabase('embedded', [Person, Shop]);

  for (const field of ['inline', 'object'] as const) {
    it(`is stored and shown (${field}), in the reply, the event and each read, and taken back`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      expect(await client.created({ [field]: full })).to.deep.equal({ id: 1, [field]: full });
      expect(await client.patched(1, { [field]: full })).to.deep.equal({ id: 1, [field]: full });
      expect(await client.events()).to.have.length(1);
    });

    it(`is unchanged where its missing fields are sent back as null (${field})`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      expect(await client.created({ [field]: { street: 'Elm' } })).to.deep.equal({ id: 1, [field]: least });
      expect(await client.patched(1, { [field]: least })).to.deep.equal({ id: 1, [field]: least });
      expect(await client.events()).to.have.length(1);
    });

    it(`takes the place of the one before it (${field})`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      await client.created({ [field]: full });
      expect(await client.patched(1, { [field]: { street: 'Elm' } })).to.deep.equal({ id: 1, [field]: least });
      expect(await client.patched(1, { [field]: null })).to.deep.equal({ id: 1, [field]: null });
    });

    it(`may be missing (${field})`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      expect(await client.created({})).to.deep.equal({ id: 1, [field]: null });
    });

    it(`is checked field by field (${field})`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      const data = { since: 'soon', number: 1.5, floor: 'roof', place: { north: '1' } };
      expect(await client.send('create', { data: { [field]: data } })).to.deep.equal([
        400,
        [
          {
            [`${field}.street`]: ['This field is required.'],
            [`${field}.since`]: ['Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
            [`${field}.number`]: ['A valid integer is required.'],
            [`${field}.floor`]: ['"roof" is not a valid choice.'],
            [`${field}.place.north`]: ['A valid number is required.'],
          },
        ],
      ]);
    });

    it(`obeys the rules of its class (${field})`, async () => {
      await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
      expect(await client.send('create', { data: { [field]: { street: 'x' } } })).to.deep.equal([
        400,
        [{ [`${field}.street`]: ['street must be longer than or equal to 2 characters.'] }],
      ]);
    });

    for (const wrong of ['Oak', 5, [full], true]) {
      it(`is no ${JSON.stringify(wrong)} (${field})`, async () => {
        await using client = await RowClient.open(database.orm, Person, { fields: ['id', field] });
        expect(await client.send('create', { data: { [field]: wrong } })).to.deep.equal([
          400,
          [{ [field]: ['Expected an object.'] }],
        ]);
      });
    }
  }

  it('is one of a list', async () => {
    await using client = await RowClient.open(database.orm, Person, { fields: ['id', 'list'] });
    expect(await client.created({ list: [full, { street: 'Elm' }] })).to.deep.equal({ id: 1, list: [full, least] });
    expect(await client.patched(1, { list: [full, least] })).to.deep.equal({ id: 1, list: [full, least] });
    expect(await client.patched(1, { list: [] })).to.deep.equal({ id: 1, list: [] });
  });

  it('of a list is checked with its place in it', async () => {
    await using client = await RowClient.open(database.orm, Person, { fields: ['id', 'list'] });
    expect(await client.send('create', { data: { list: [full, { place: { north: null } }, null] } })).to.deep.equal([
      400,
      [
        {
          'list.1.street': ['This field is required.'],
          'list.1.place.north': ['This field may not be null.'],
          'list.2': ['This field may not be null.'],
          list: ['list must contain no more than 2 elements.'],
        },
      ],
    ]);
    expect(await client.send('create', { data: { list: full } })).to.deep.equal([
      400,
      [{ list: ['Expected a list of items.'] }],
    ]);
  });

  it('has the defaults of its class', async () => {
    await using client = await RowClient.open(database.orm, Person, { fields: ['id', 'place'] });
    expect(await client.created({ place: { north: 1 } })).to.deep.equal({ id: 1, place: { north: 1, east: 0 } });
  });

  it('that a row must have is required, and is no null', async () => {
    await using client = await RowClient.open(database.orm, Shop, { fields: ['id', 'address'] });
    expect(await client.send('create', { data: {} })).to.deep.equal([400, [{ address: ['This field is required.'] }]]);
    expect(await client.send('create', { data: { address: null } })).to.deep.equal([
      400,
      [{ address: ['This field may not be null.'] }],
    ]);
    expect(await client.created({ address: full })).to.deep.equal({ id: 1, address: full });
  });

  it('shows no hidden column, and takes one', async () => {
    await using client = await RowClient.open(database.orm, Shop, { fields: ['id', 'address'] });
    expect(await client.created({ address: { ...full, code: '1234' } })).to.deep.equal({ id: 1, address: full });
    expect(await database.orm.em.fork().execute('select address_code as code from shop')).to.deep.equal([
      { code: '1234' },
    ]);
  });

  it('takes no key of no field, and says so in development', async () => {
    await using client = await RowClient.open(database.orm, Shop, { fields: ['id', 'address'] });
    const data = { address: { ...full, zip: 1, place: { north: 1.5, east: 2, up: 3 }, __proto__: { code: 'x' } } };
    expect(await client.created(data)).to.deep.equal({ id: 1, address: full });
    expect(client.logger.at('debug').flatMap(({ fields }) => fields['dropped'] ?? [])).to.deep.equal([
      'address.place.up',
      'address.zip',
    ]);
  });
});
