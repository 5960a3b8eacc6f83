import type { FilterQuery } from '@mikro-orm/core';
import { expect } from 'chai';
import { type ActionContext, Consumer, LimitOffsetPaginator, List, ModelConsumer, mix, Retrieve } from 'signalbox';
import type { TestConnection } from 'signalbox/testing';
import { Person, ShortSerializer, Thing, useScenarios } from '../dcrf/crud-support.js';

const filters = {
  fields: ['shelf', 'name', 'description', 'owner', 'price'],
  ordering: ['name', 'shelf'],
  search: ['name', 'description'],
} as const;

@Consumer()
class FilteredConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, filters }), List, Retrieve) {
  protected override getQuery(_context: ActionContext) {
    return { hidden: false };
  }
  protected override filterQuery(query: FilterQuery<Thing>, { kwargs }: ActionContext): FilterQuery<Thing> {
    return kwargs.first ? ({ $and: [query, { id: { $lt: 3 } }] } as FilterQuery<Thing>) : query;
  }
}

@Consumer()
class PagedConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, filters, paginator: LimitOffsetPaginator }),
  List,
) {}

@Consumer()
class EmptyConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, filters: { fields: [] } }), List) {
  override async list(context: ActionContext) {
    return (await super.list(context)).toReversed();
  }
}

describe('Filters of a model consumer', () => {
  const world = useScenarios('filters', {
    '/': FilteredConsumer,
    '/paged/': PagedConsumer,
    '/empty/': EmptyConsumer,
  });
  let client: TestConnection;

  /** epsilon is hidden; beta and gamma stand on shelf 2. */
  beforeEach(async () => {
    await world.things(5);
    await world.people('ann', 'bob');
    const em = world.orm.em.fork();
    const [alpha, beta, gamma, delta, epsilon] = await em.findAll(Thing, { orderBy: { id: 'asc' } });
    if (!alpha || !beta || !gamma || !delta || !epsilon) throw new Error('The fixture is not there.');
    em.assign(alpha, { description: 'Red 100%', owner: em.getReference(Person, 1), price: '2.50' });
    em.assign(beta, { description: 'blue_sky', shelf: 2 });
    em.assign(gamma, { description: 'a red\\blue', shelf: 2, owner: em.getReference(Person, 2) });
    em.assign(epsilon, { hidden: true });
    await em.flush();
    client = await world.open('/');
  });

  const named = async (kwargs: object, on = client) => {
    const { data, errors } = await on.request('list', { ...kwargs });
    return Array.isArray(data) ? data.map(({ name }) => name) : errors;
  };

  const narrowed: readonly (readonly [object, readonly string[]])[] = [
    [{}, ['alpha', 'beta', 'gamma', 'delta']],
    [{ filter: {} }, ['alpha', 'beta', 'gamma', 'delta']],
    [{ filter: { shelf: 2 } }, ['beta', 'gamma']],
    [{ filter: { shelf: [1, 3] } }, ['alpha', 'delta']],
    [{ filter: { shelf: [] } }, []],
    [{ filter: { shelf: 2, name: 'beta' } }, ['beta']],
    [{ filter: { name: ['alpha', 'epsilon'] } }, ['alpha']],
    [{ filter: { description: null } }, ['delta']],
    [{ filter: { description: 'Red 100%' } }, ['alpha']],
    [{ filter: { owner: 2 } }, ['gamma']],
    [{ filter: { owner: [1, '2'] } }, ['alpha', 'gamma']],
    [{ filter: { owner: null } }, ['beta', 'delta']],
    [{ filter: { price: '2.5' } }, ['alpha']],
    [{ search: 'RED' }, ['alpha', 'gamma']],
    [{ search: '  red   blue ' }, ['gamma']],
    [{ search: 'red gam' }, ['gamma']],
    [{ search: '%' }, ['alpha']],
    [{ search: '_' }, ['beta']],
    [{ search: '\\' }, ['gamma']],
    [{ search: '' }, ['alpha', 'beta', 'gamma', 'delta']],
    [{ search: 'epsilon' }, []],
    [{ ordering: '-name' }, ['gamma', 'delta', 'beta', 'alpha']],
    [{ ordering: ['shelf', '-name'] }, ['delta', 'alpha', 'gamma', 'beta']],
    [{ ordering: '-shelf' }, ['beta', 'gamma', 'alpha', 'delta']],
    [{ ordering: [] }, ['alpha', 'beta', 'gamma', 'delta']],
    [{ filter: { shelf: 2 }, search: 'red', ordering: '-name', first: true }, []],
    [{ filter: { shelf: 2 }, first: true }, ['beta']],
  ];
  for (const [kwargs, names] of narrowed) {
    it(`list ${names.join(', ') || 'nothing'} for ${JSON.stringify(kwargs)}`, async () => {
      expect(await named(kwargs)).to.deep.equal(names);
    });
  }

  const unknown = (name: string, list: readonly string[]) =>
    `${JSON.stringify(name)} is not known here. Known names are ${list.join(', ')}.`;
  const refused: readonly (readonly [object, object])[] = [
    [{ filter: { hidden: true } }, { 'filter.hidden': [unknown('hidden', filters.fields)] }],
    [{ filter: { $or: [] } }, { 'filter.$or': [unknown('$or', filters.fields)] }],
    [{ filter: { shelf: 'x' } }, { 'filter.shelf': ['A valid integer is required.'] }],
    [{ filter: { shelf: [1, 'x'] } }, { 'filter.shelf': ['A valid integer is required.'] }],
    [{ filter: { shelf: { $gt: 1 } } }, { 'filter.shelf.$gt': [unknown('$gt', ['exact', 'in'])] }],
    [{ filter: { shelf: null } }, { 'filter.shelf': ['This field may not be null.'] }],
    [{ filter: { name: 4 } }, { 'filter.name': ['Not a valid string.'] }],
    [{ filter: { owner: 'x' } }, { 'filter.owner': ['"x" is not a key.'] }],
    [
      { filter: { shelf: 'x', name: 4 } },
      { 'filter.shelf': ['A valid integer is required.'], 'filter.name': ['Not a valid string.'] },
    ],
    [{ filter: 'shelf' }, { filter: ['Invalid data. Expected an object.'] }],
    [{ filter: null }, { filter: ['Invalid data. Expected an object.'] }],
    [{ filter: [] }, { filter: ['Invalid data. Expected an object.'] }],
    [{ ordering: 'hidden' }, { ordering: [unknown('hidden', filters.ordering)] }],
    [{ ordering: '--name' }, { ordering: [unknown('--name', filters.ordering)] }],
    [{ ordering: ['name', 4] }, { ordering: ['4 is not known here. Known names are name, shelf.'] }],
    [{ ordering: null }, { ordering: ['null is not known here. Known names are name, shelf.'] }],
    [{ search: 4 }, { search: ['Not a valid string.'] }],
    [{ search: null }, { search: ['Not a valid string.'] }],
    [{ search: '\u0000' }, { search: ['Null characters are not allowed.'] }],
    [{ search: 'x'.repeat(201) }, { search: ['Ensure this field has no more than 200 characters.'] }],
  ];
  for (const [kwargs, texts] of refused) {
    it(`refuse ${JSON.stringify(kwargs).slice(0, 60)}`, async () => {
      expect(await client.request('list', { ...kwargs })).to.deep.include({
        errors: [texts],
        response_status: 400,
        code: 'validation_failed',
      });
    });
  }

  it('narrow and order pages, and what they count', async () => {
    const paged = await world.open('/paged/');
    const { data } = await paged.request('list', { filter: { shelf: 2 }, ordering: '-name', limit: 1 });
    expect(data).to.deep.equal({
      count: 2,
      results: [{ id: 3, name: 'gamma', shelf: 2 }],
      limit: 1,
      offset: 0,
    });
  });

  it('leave objects that are looked up by key alone', async () => {
    expect(await client.request('retrieve', { pk: 1, filter: { shelf: 2 } })).to.include({ response_status: 200 });
  });

  it('leave the parameters of a list without any as they are', async () => {
    expect(await named({}, await world.open('/empty/'))).to.deep.equal(['epsilon', 'delta', 'gamma', 'beta', 'alpha']);
  });
});
