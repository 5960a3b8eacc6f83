import { expect } from 'chai';
import {
  Consumer,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  mix,
  PageNumberPaginator,
  type Permission,
  Permissions,
} from 'signalbox';
import { failure, invalid, reply } from '../support/frames.js';
import { ShortSerializer, short, Thing } from '../support/things.js';
import { useScenarios } from './crud-support.js';

class Pairs extends LimitOffsetPaginator {
  override readonly pageSize = 2;
  override readonly maximumPageSize = 1_000_000;
}

class CutPairs extends LimitOffsetPaginator {
  override readonly pageSize = 2;
  override readonly maximumPageSize = 3;
}

@Consumer()
class PagedConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Pairs }), List) {}

@Consumer()
class CutConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: CutPairs }), List) {}

@Consumer()
class DefaultConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: LimitOffsetPaginator }),
  List,
) {}

@Consumer()
class NumberedConsumer extends mix(
  ModelConsumer(Thing, { serializer: ShortSerializer, paginator: PageNumberPaginator }),
  List,
) {}

@Consumer()
class WholeConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer }), List) {}

class Nobody implements Permission {
  hasPermission() {
    return false;
  }
}

@Consumer()
@Permissions(Nobody)
class DeniedConsumer extends mix(ModelConsumer(Thing, { serializer: ShortSerializer, paginator: Pairs }), List) {}

@Consumer()
class HeirConsumer extends DeniedConsumer {}

describe('DCRF: pagination', () => {
  const world = useScenarios('dcrf_pagination', {
    '/ws/paged/': PagedConsumer,
    '/ws/cut/': CutConsumer,
    '/ws/paged-default/': DefaultConsumer,
    '/ws/numbered/': NumberedConsumer,
    '/ws/paged-none/': WholeConsumer,
    '/ws/denied/': DeniedConsumer,
    '/ws/paged-permtrap/': HeirConsumer,
  });
  const paged = async (count: number, url = '/ws/paged/') => {
    await world.things(count);
    return world.open(url);
  };
  const all = [short(1, 'alpha'), short(2, 'beta'), short(3, 'gamma'), short(4, 'delta'), short(5, 'epsilon')];
  const page = (count: number, results: unknown, limit = 2, offset = 0) => ({ count, results, limit, offset });

  it('S139 pages have a count, results, their limit and their offset', async () => {
    const a = await paged(5);
    const list = (kwargs: object) => a.request('list', { request_id: 1, ...kwargs });
    expect(await list({})).to.deep.equal(reply('list', page(5, all.slice(0, 2))));
    expect(await list({ offset: 2 })).to.deep.equal(reply('list', page(5, all.slice(2, 4), 2, 2)));
    expect(await list({ offset: 4 })).to.deep.equal(reply('list', page(5, all.slice(4), 2, 4)));
    expect(await list({ offset: 5 })).to.deep.equal(reply('list', page(5, [], 2, 5)));
    expect(await list({ offset: 50 })).to.deep.equal(reply('list', page(5, [], 2, 50)));
    expect(await list({ limit: 3, offset: 1 })).to.deep.equal(reply('list', page(5, all.slice(1, 4), 3, 1)));
    expect(await list({ limit: 1_000_000 })).to.deep.equal(reply('list', page(5, all, 1_000_000)));
    expect(Object.keys((await list({})).data as object)).to.deep.equal(['count', 'results', 'limit', 'offset']);
  });

  const odd: readonly [string, unknown, string][] = [
    ['limit', 0, 'Ensure this value is greater than or equal to 1.'],
    ['limit', -1, 'Ensure this value is greater than or equal to 1.'],
    ['limit', 'abc', 'A valid integer is required.'],
    ['limit', '1', 'A valid integer is required.'],
    ['limit', 1.9, 'A valid integer is required.'],
    ['limit', true, 'A valid integer is required.'],
    ['limit', '', 'A valid integer is required.'],
    ['limit', 1e300, 'A valid integer is required.'],
    ['offset', -1, 'Ensure this value is greater than or equal to 0.'],
    ['offset', 'abc', 'A valid integer is required.'],
    ['offset', '1', 'A valid integer is required.'],
    ['offset', 1.9, 'A valid integer is required.'],
    ['offset', true, 'A valid integer is required.'],
    ['offset', '', 'A valid integer is required.'],
  ];
  it('S140 (differs) a limit or an offset that is none is a 400', async () => {
    const a = await paged(3);
    for (const [name, value, text] of odd) {
      const id = `${name} ${JSON.stringify(value)}`;
      expect(await a.request('list', { request_id: id, [name]: value })).to.deep.equal(
        invalid('list', { [name]: [text] }, id),
      );
    }
    expect(await a.request('list', { request_id: 1, limit: 0, offset: 'x' })).to.deep.equal(
      invalid('list', {
        limit: ['Ensure this value is greater than or equal to 1.'],
        offset: ['A valid integer is required.'],
      }),
    );
  });

  it('S141 (differs) a limit or an offset of null, and a list, are a 400, and the socket lives on', async () => {
    const a = await paged(3);
    for (const [name, value] of [
      ['limit', null],
      ['offset', null],
      ['limit', []],
    ] as const) {
      expect(await a.request('list', { request_id: 1, [name]: value })).to.deep.equal(
        invalid('list', { [name]: ['A valid integer is required.'] }),
      );
    }
    expect(await a.request('list', { request_id: 1 })).to.deep.equal(reply('list', page(3, all.slice(0, 2))));
  });

  it('S142 a list without rows is one empty page', async () => {
    expect(await (await paged(0)).request('list', { request_id: 1 })).to.deep.equal(reply('list', page(0, [])));
  });

  it('S144 (differs) the paginator itself has a default', async () => {
    const a = await paged(3, '/ws/paged-default/');
    expect(await a.request('list', { request_id: 1, limit: 2 })).to.deep.equal(reply('list', page(3, all.slice(0, 2))));
    expect(await a.request('list', { request_id: 2 })).to.deep.equal(reply('list', page(3, all.slice(0, 3), 25), 2));
  });

  it('S145 a consumer without a paginator lists all rows', async () => {
    const a = await paged(3, '/ws/paged-none/');
    expect(await a.request('list', { request_id: 1, limit: 1 })).to.deep.equal(reply('list', all.slice(0, 3)));
  });

  it('S146 (differs) a paginator and a mixin leave permissions as they are, inherited ones too', async () => {
    await world.things(3);
    for (const url of ['/ws/denied/', '/ws/paged-permtrap/']) {
      const a = await world.open(url);
      expect(await a.request('list', { request_id: 1 })).to.deep.equal(
        failure('list', 403, 'permission_denied', 'You do not have permission to perform this action.'),
      );
    }
  });

  it('S147 (differs) a page has 25 rows and 100 at most, unless a subclass says otherwise', async () => {
    const standing = await paged(5, '/ws/paged-default/');
    expect(await standing.request('list', { request_id: 1 })).to.deep.equal(reply('list', page(5, all, 25)));
    expect(await standing.request('list', { request_id: 1, limit: 101 })).to.deep.equal(
      reply('list', page(5, all, 100)),
    );
    const cut = await world.open('/ws/cut/');
    expect(await cut.request('list', { request_id: 1 })).to.deep.equal(reply('list', page(5, all.slice(0, 2))));
    expect(await cut.request('list', { request_id: 1, limit: 4 })).to.deep.equal(
      reply('list', page(5, all.slice(0, 3), 3)),
    );
  });

  it('numbers pages where the paginator does', async () => {
    const a = await paged(5, '/ws/numbered/');
    expect(await a.request('list', { request_id: 1, page: 2, limit: 2 })).to.deep.equal(
      reply('list', { count: 5, results: all.slice(2, 4), limit: 2, page: 2, pages: 3 }),
    );
    expect(await a.request('list', { request_id: 2, page: 4, limit: 2 })).to.deep.equal(
      reply('list', { count: 5, results: [], limit: 2, page: 4, pages: 3 }, 2),
    );
    expect(await a.request('list', { request_id: 3, page: 0 })).to.deep.equal(
      invalid('list', { page: ['Ensure this value is greater than or equal to 1.'] }, 3),
    );
  });
});
