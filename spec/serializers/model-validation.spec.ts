import { randomUUID } from 'node:crypto';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { ApiError, type DataOf, ModelSerializer, type SerializerContext, ValidationFailed } from 'signalbox';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { queriesOf } from '../support/queries.js';
import { contextOf } from '../support/serializing.js';
import { Shelf, Specimen, specimenFields, specimens, Tag } from '../support/specimens.js';

@injectable()
class SpecimenSerializer extends ModelSerializer(Specimen, { fields: specimenFields }) {
  protected override relationQuery(field: string) {
    return field === 'shelf' ? { open: true } : {};
  }
}

@injectable()
class CheckingSerializer extends ModelSerializer(Specimen, { fields: ['code', 'amount', 'small'] }) {
  protected override async check({ amount, small }: DataOf<CheckingSerializer>) {
    if (typeof amount === 'number' && typeof small === 'number' && small > amount) {
      throw ValidationFailed.of({ small: ['Must not exceed amount.'] });
    }
  }
}

@Entity()
class Ticket {
  @PrimaryKey({ type: 'uuid' })
  id = randomUUID();

  @Property({ type: 'datetime' })
  createdAt = new Date();
}

@injectable()
class TicketSerializer extends ModelSerializer(Ticket, { fields: ['id', 'createdAt'] }) {}

const refused: readonly (readonly [field: string, value: unknown, text: string])[] = [
  ['code', null, 'This field may not be null.'],
  ['code', 5, 'Not a valid string.'],
  ['code', ['a'], 'Not a valid string.'],
  ['code', '123456', 'Ensure this field has no more than 5 characters.'],
  ['code', 'a\u0000b', 'Null characters are not allowed.'],
  ['story', {}, 'Not a valid string.'],
  ['amount', '5', 'A valid integer is required.'],
  ['amount', 1.5, 'A valid integer is required.'],
  ['amount', true, 'A valid integer is required.'],
  ['amount', 2147483648, 'Ensure this value is less than or equal to 2147483647.'],
  ['amount', -2147483649, 'Ensure this value is greater than or equal to -2147483648.'],
  ['amount', 1001, 'amount must not be greater than 1000.'],
  ['small', 32768, 'Ensure this value is less than or equal to 32767.'],
  ['small', -32769, 'Ensure this value is greater than or equal to -32768.'],
  ['big', '9223372036854775808', 'This integer is too large.'],
  ['big', '-9223372036854775809', 'This integer is too large.'],
  ['big', 9007199254740992, 'A valid integer is required.'],
  ['big', '1e5', 'A valid integer is required.'],
  ['price', 'abc', 'A valid number is required.'],
  ['price', true, 'A valid number is required.'],
  ['price', '1.234', 'Ensure that there are no more than 2 decimal places.'],
  ['price', '12345.67', 'Ensure that there are no more than 5 digits in total.'],
  ['price', 1234.5, 'Ensure that there are no more than 3 digits before the decimal point.'],
  ['weight', '1.5', 'A valid number is required.'],
  ['ratio', 1e39, 'Ensure this value is within the range of a single-precision number.'],
  ['mood', 'sad', '"sad" is not a valid choice.'],
  ['mood', {}, '{} is not a valid choice.'],
  ['rare', 'true', 'Must be a valid boolean.'],
  ['rare', 1, 'Must be a valid boolean.'],
  ['found', '2026-02-31', 'Date has wrong format. Use ISO 8601: 2026-01-31.'],
  ['found', '0000-01-01', 'Date has wrong format. Use ISO 8601: 2026-01-31.'],
  ['found', 20260131, 'Date has wrong format. Use ISO 8601: 2026-01-31.'],
  ['seen', '2026-01-31', 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
  ['seen', '2026-02-31T12:00:00Z', 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
  ['seen', '2026-01-31T25:00:00Z', 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
  ['seen', 0, 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.'],
  ['noon', '25:00:00', 'Time has wrong format. Use ISO 8601: 12:00:00.'],
  ['noon', 12, 'Time has wrong format. Use ISO 8601: 12:00:00.'],
  ['serial', 'abc', 'Must be a valid UUID.'],
  ['extra', { deep: ['a\u0000b'] }, 'Null characters are not allowed.'],
  ['extra', { 'a\u0000b': 1 }, 'Null characters are not allowed.'],
  ['numbers', 1, 'Expected a list of items.'],
  ['numbers', [1, 'a'], 'Item 1: A valid integer is required.'],
  ['numbers', [1, 2147483648], 'Item 1: Ensure this value is less than or equal to 2147483647.'],
  ['numbers', [null], 'Item 0: This field may not be null.'],
  ['words', ['a', 1], 'Item 1: Not a valid string.'],
  ['nick', 'abcde', 'nick must be shorter than or equal to 4 characters.'],
  ['nick', 'AB', 'Lower case only.'],
  ['label', 'a', 'label must be longer than or equal to 2 characters.'],
  ['origin', null, 'This field may not be null.'],
  ['shelf', 404, 'Invalid pk 404 - object does not exist.'],
  ['shelf', 2, 'Invalid pk 2 - object does not exist.'],
  ['shelf', 'x', 'Invalid pk "x" - object does not exist.'],
  ['shelf', { id: 1 }, 'Invalid pk {"id":1} - object does not exist.'],
  ['tags', 'x', 'Expected a list of items.'],
  ['tags', null, 'This field may not be null.'],
  ['tags', ['x'], 'Invalid pk "x" - object does not exist.'],
  ['tags', [[]], 'Invalid pk [] - object does not exist.'],
];

/** Value that comes, value as it is shown once it was stored and read again. */
const accepted: readonly (readonly [field: string, value: unknown, stored: unknown])[] = [
  ['code', '', ''],
  ['code', '🚀🚀🚀🚀🚀', '🚀🚀🚀🚀🚀'],
  ['story', 'x'.repeat(10_000), 'x'.repeat(10_000)],
  ['amount', -2147483648, -2147483648],
  ['amount', 1000, 1000],
  ['small', 32767, 32767],
  ['big', '9223372036854775807', 9223372036854775807n],
  ['big', -5, -5n],
  ['price', '999.99', '999.99'],
  ['price', 1.5, '1.50'],
  ['price', '-0.05', '-0.05'],
  ['weight', 1e300, 1e300],
  ['ratio', 0.5, 0.5],
  ['mood', 'wild', 'wild'],
  ['rare', false, false],
  ['found', '2024-02-29', '2024-02-29'],
  ['seen', '2026-01-31T12:00:00+01:00', new Date('2026-01-31T11:00:00Z')],
  ['noon', '12:30:15', '12:30:15'],
  ['serial', '11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111'],
  ['extra', { a: [1, null, 'x'] }, { a: [1, null, 'x'] }],
  ['extra', 'plain', 'plain'],
  ['extra', false, false],
  ['numbers', [1, -2], [1, -2]],
  ['numbers', [], []],
  ['words', ['a,b', '"c"'], ['a,b', '"c"']],
  ['nick', 'ab', 'ab'],
  ['nick', null, null],
  ['label', null, null],
  ['origin', 'here', 'here'],
  ['notes', 'lazy', 'lazy'],
  ['shelf', 1, 1],
  ['shelf', '1', 1],
  ['shelf', null, null],
  ['tags', [], []],
  ['tags', ['22222222-2222-4222-8222-222222222222'], ['22222222-2222-4222-8222-222222222222']],
];

describe('The validation that follows from an entity', () => {
  const database = useDatabase('model_validation', [...specimens, Ticket]);
  const serializer = new SpecimenSerializer();
  let em: EntityManager;
  let context: SerializerContext;

  beforeEach(async () => {
    em = database.orm.em.fork();
    em.create(Shelf, { name: 'open' });
    em.create(Shelf, { name: 'closed', open: false });
    em.create(Tag, { id: '22222222-2222-4222-8222-222222222222', name: 'red' });
    await em.flush();
    em.clear();
    context = contextOf(em);
  });

  for (const [field, value, text] of refused) {
    it(`refuses ${shortly(value)} as ${field}`, async () => {
      expect(await textsOf({ code: 'a', [field]: value })).to.deep.equal({ [field]: [text] });
    });
  }

  for (const [field, value, stored] of accepted) {
    it(`accepts ${shortly(value)} as ${field}, stores it and shows it`, async () => {
      const data = await serializer.validate({ code: 'a', [field]: value }, context);
      const { id } = await serializer.create(data, context);
      await em.flush();
      const { id: key } = await em.fork().findOneOrFail(Specimen, id ?? 1);
      const fresh = contextOf(em.fork());
      const entity = await fresh.unitOfWork.em.findOneOrFail(Specimen, key);
      await fresh.unitOfWork.load([entity], serializer.pathsToLoad(fresh));
      expect((await serializer.toData(entity, fresh))[field]).to.deep.equal(stored);
    });
  }

  it('requires what has no default and may not be null, and nothing else', async () => {
    expect(await textsOf({})).to.deep.equal({ code: ['This field is required.'] });
  });

  it('requires nothing that the entity makes itself', async () => {
    expect(await new TicketSerializer().validate({}, context)).to.deep.equal({});
  });

  it('requires nothing in part', async () => {
    expect(await serializer.validate({}, context, { partial: true })).to.deep.equal({});
    expect(await textsOf({ code: null }, true)).to.deep.equal({ code: ['This field may not be null.'] });
  });

  it('tells of every field at once', async () => {
    expect(await textsOf({ amount: 'a', shelf: 404, nick: 'A' })).to.deep.equal({
      code: ['This field is required.'],
      amount: ['A valid integer is required.'],
      shelf: ['Invalid pk 404 - object does not exist.'],
      nick: ['Lower case only.', 'nick must be longer than or equal to 2 characters.'],
    });
  });

  for (const [raw, sentence] of [
    [undefined, 'No data provided.'],
    [null, 'No data provided.'],
    ['text', 'Invalid data. Expected an object.'],
    [[], 'Invalid data. Expected an object.'],
    [5, 'Invalid data. Expected an object.'],
  ] as const) {
    it(`refuses ${shortly(raw)} for an object`, async () => {
      expect(await textsOf(raw)).to.deep.equal({ non_field_errors: [sentence] });
    });
  }

  it('lets nothing in that the database makes or that is no field', async () => {
    const raw = { code: 'a', id: 77, createdBy: 'eve', __proto__: { origin: 'eve' }, constructor: 'eve' };
    expect(await serializer.validate(raw, context)).to.deep.equal({ code: 'a' });
  });

  it('asks for the rows of a many-to-many field in one query', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `22222222-2222-4222-8222-3333333333${index + 10}`);
    for (const id of keys) em.create(Tag, { id, name: 'x' });
    await em.flush();
    em.clear();
    let found: readonly Tag[] | undefined;
    const queries = await queriesOf(database.orm, async () => {
      found = (await serializer.validate({ code: 'a', tags: keys }, context)).tags;
    });
    expect(found?.map(({ id }) => id)).to.deep.equal(keys);
    expect(queries).to.have.length(1);
  });

  it('is followed by the rules across fields', async () => {
    const checking = new CheckingSerializer();
    expect(await checking.validate({ code: 'a', amount: 2, small: 1 }, context)).to.include({ amount: 2, small: 1 });
    const outcome = await checking.validate({ code: 'a', amount: 1, small: 2 }, context).catch((error) => error);
    expect(outcome).to.be.instanceOf(ValidationFailed);
    expect(outcome.errors).to.deep.equal([{ small: ['Must not exceed amount.'] }]);
  });

  async function textsOf(raw: unknown, partial = false): Promise<unknown> {
    try {
      await serializer.validate(raw, context, { partial });
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 400) return thrown.errors[0];
      throw thrown;
    }
    return 'accepted';
  }
});

function shortly(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
