import type { EntityClass, EntityManager } from '@mikro-orm/core';
import { Embeddable, Embedded, Entity, Formula, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { ModelSerializer, type SerializerContext } from 'signalbox';
import { injectable } from 'tsyringe';
import { restore } from '#signalbox/orm/unit-of-work.js';
import { serializeOne } from '#signalbox/serializers/serialize.js';
import { recordChanges } from '../support/changes.js';
import { useDatabase } from '../support/database.js';
import { Place } from '../support/keyed.js';
import { contextOf } from '../support/serializing.js';
import { Mood, Shelf, Specimen, specimenFields, specimens, Tag } from '../support/specimens.js';

@Embeddable()
class Address {
  @Property({ type: 'string' })
  street!: string;

  @Property({ type: 'integer', nullable: true })
  house?: number | null;
}

@Entity({ discriminatorColumn: 'kind', abstract: true })
abstract class Animal {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  name!: string;
}

@Entity({ discriminatorValue: 'dog' })
class Dog extends Animal {
  @Embedded(() => Address)
  address!: Address;

  @Embedded(() => Address, { object: true, nullable: true })
  kennel?: Address | null;

  @Formula('upper(name)')
  shout?: string;

  @Property({ type: 'integer', generated: `(length(name)) stored` })
  letters?: number;
}

@injectable()
class ShelfSerializer extends ModelSerializer(Shelf, { fields: ['id', 'name'] }) {}

@injectable()
class SpecimenSerializer extends ModelSerializer(Specimen, {
  fields: specimenFields,
  nested: { shelf: ShelfSerializer },
}) {}

@injectable()
class DogSerializer extends ModelSerializer(Dog, {
  fields: ['id', 'name', 'address', 'kennel', 'shout', 'letters'],
}) {}

@injectable()
class PlaceSerializer extends ModelSerializer(Place, { fields: ['shelf', 'number', 'label'] }) {}

describe('A row restored from a change', () => {
  const database = useDatabase('model_snapshot', [...specimens, Animal, Dog, Place]);
  const recorded = recordChanges(database);
  let em: EntityManager;

  beforeEach(() => {
    em = database.orm.em.fork();
  });

  async function shownLast(serializer: Parameters<typeof serializeOne>[0]): Promise<unknown> {
    const change = (await recorded.commits()).at(-1)?.at(-1)?.change;
    if (!change?.after) throw new Error('Nothing was written.');
    const context = fresh();
    return serializeOne(serializer, restore(context.unitOfWork.em, change.meta, change.after, undefined), context);
  }

  async function shownStored(
    serializer: Parameters<typeof serializeOne>[0],
    entity: EntityClass<{ id: number }>,
    id: number,
  ): Promise<unknown> {
    const context = fresh();
    return serializeOne(serializer, await context.unitOfWork.em.findOneOrFail(entity, { id }), context);
  }

  function fresh(): SerializerContext {
    return contextOf(database.orm.em.fork());
  }

  it('shows columns of every type as the stored row does, after a create and after an update', async () => {
    const specimen = em.create(Specimen, {
      code: 'a',
      amount: 5,
      small: -5,
      big: 9007199254740993n,
      price: '1.50',
      weight: 0.1,
      mood: Mood.wild,
      rare: true,
      found: '2026-01-31',
      seen: new Date('2026-01-31T12:00:00.123Z'),
      noon: '12:00:00',
      serial: '11111111-1111-4111-8111-111111111111',
      extra: { text: '{"not": "parsed"}', list: [1, null] },
      numbers: [1, 2],
      words: ['a,b', '"c"'],
      notes: 'lazy',
      shelf: em.create(Shelf, { name: 'left' }),
      tags: [em.create(Tag, { id: '22222222-2222-4222-8222-222222222222', name: 'red' })],
    });
    await em.flush();
    const created = await shownStored(SpecimenSerializer, Specimen, 1);
    expect(created).to.deep.include({ id: 1, big: 9007199254740993n, shelf: { id: 1, name: 'left' }, version: 1 });
    expect(await shownLast(SpecimenSerializer)).to.deep.equal(created);
    specimen.extra = 'text';
    specimen.numbers = [3];
    await em.flush();
    const updated = await shownStored(SpecimenSerializer, Specimen, 1);
    expect(updated).to.deep.include({ extra: 'text', numbers: [3], version: 2 });
    expect(await shownLast(SpecimenSerializer)).to.deep.equal(updated);
  });

  for (const [title, extra] of [
    ['an object', { a: 1 }],
    ['a list', [1]],
    ['a text', 'plain'],
    ['a text that looks like JSON', '{"a": 1}'],
    ['a number', 5],
    ['false', false],
  ] as const) {
    it(`shows JSON that is ${title} as it is, after a create and after an update of another column`, async () => {
      const specimen = em.create(Specimen, { code: 'a', extra });
      await em.flush();
      expect(await shownLast(SpecimenSerializer)).to.deep.include({ extra });
      specimen.code = 'b';
      await em.flush();
      expect(await shownLast(SpecimenSerializer)).to.deep.include({ code: 'b', extra });
      const other = database.orm.em.fork();
      (await other.findOneOrFail(Specimen, 1)).code = 'c';
      await other.flush();
      expect(await shownLast(SpecimenSerializer)).to.deep.include({ code: 'c', extra });
    });
  }

  it('shows embedded, computed and generated columns, and the class of a hierarchy', async () => {
    const dog = em.create(Dog, {
      name: 'rex',
      address: { street: 'a', house: null },
      kennel: { street: 'b', house: 1 },
    });
    await em.flush();
    expect(await recorded.told()).to.deep.equal([['create Dog 1']]);
    const created = await shownStored(DogSerializer, Dog, 1);
    expect(created).to.deep.equal({
      id: 1,
      name: 'rex',
      address: { street: 'a', house: null },
      kennel: { street: 'b', house: 1 },
      shout: 'REX',
      letters: 3,
    });
    expect(JSON.stringify(await shownLast(DogSerializer))).to.equal(JSON.stringify(created));
    dog.name = 'bello';
    dog.address.street = 'c';
    await em.flush();
    const updated = await shownStored(DogSerializer, Dog, 1);
    expect(updated).to.deep.include({
      name: 'bello',
      address: { street: 'c', house: null },
      shout: 'BELLO',
      letters: 5,
    });
    expect(JSON.stringify(await shownLast(DogSerializer))).to.equal(JSON.stringify(updated));
  });

  it('has the key of several columns', async () => {
    const shelf = em.create(Shelf, { name: 'left' });
    const place = em.create(Place, { shelf, number: 5n, label: 'a' });
    await em.flush();
    place.label = 'b';
    await em.flush();
    expect((await recorded.commits()).at(-1)?.map(({ pk }) => pk)).to.deep.equal([{ shelf: 1, number: 5n }]);
    expect(await shownLast(PlaceSerializer)).to.deep.equal({ shelf: 1, number: 5n, label: 'b' });
  });
});
