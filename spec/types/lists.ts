import type { FilterQuery } from '@mikro-orm/core';
import {
  type ActionContext,
  Consumer,
  type ConsumerApi,
  CursorPaginator,
  FilterBackend,
  LimitOffsetPage,
  LimitOffsetPaginator,
  List,
  ModelConsumer,
  mix,
  Page,
  PageNumberPaginator,
  type PageSource,
  Paginator,
  type PaginatorTypes,
  type paginatorTypes,
  Retrieve,
  StreamedList,
} from 'signalbox';
import { Message, Room, RoomSerializer } from './entities.js';
import { same, some } from './support.js';

type RoomView = { id: number; name: string };

// The reply of a list follows its paginator

@Consumer()
class Plain extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List) {}
same<ConsumerApi<Plain>['actions']['list']['reply'], RoomView[]>();
same<ConsumerApi<Plain>['actions']['list']['kwargs'], Record<never, never>>();

@Consumer()
class Paged extends mix(ModelConsumer(Room, { serializer: RoomSerializer, paginator: LimitOffsetPaginator }), List) {}
type PagedList = ConsumerApi<Paged>['actions']['list'];
some<PagedList['reply']>() satisfies { count: number; results: readonly RoomView[]; limit: number; offset: number };
some<PagedList['reply']['results'][number]>() satisfies RoomView;
// @ts-expect-error a page is no array
some<PagedList['reply']>() satisfies RoomView[];
// @ts-expect-error the view has no such field
some<PagedList['reply']>().results[0]?.archived;
({ limit: 2, offset: 4 }) satisfies PagedList['kwargs'];
({}) satisfies PagedList['kwargs'];
// @ts-expect-error a limit is a number
({ limit: '2' }) satisfies PagedList['kwargs'];
// @ts-expect-error pages by limit and offset have no cursor
({ cursor: 'x' }) satisfies PagedList['kwargs'];

class BigPages extends CursorPaginator {
  override readonly pageSize = 500;
}
@Consumer()
class ByCursor extends mix(ModelConsumer(Room, { serializer: RoomSerializer, paginator: BigPages }), List) {}
some<ConsumerApi<ByCursor>['actions']['list']['reply']>() satisfies {
  results: readonly RoomView[];
  limit: number;
  next: string | null;
};
({ cursor: 'x', limit: 4 }) satisfies ConsumerApi<ByCursor>['actions']['list']['kwargs'];
// @ts-expect-error cursors have no offset
({ offset: 4 }) satisfies ConsumerApi<ByCursor>['actions']['list']['kwargs'];

// Streamed, each part is a page

@Consumer()
class Streamed extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, paginator: PageNumberPaginator }),
  StreamedList,
) {}
type Stream = ConsumerApi<Streamed>['actions'];
some<Stream['list']['part']>() satisfies { results: readonly RoomView[]; page: number; pages: number };
same<Stream['list']['part'], Stream['list']['reply']>();
same<Stream['listCancel']['reply'], null>();
({ page: 2 }) satisfies Stream['list']['kwargs'];
// @ts-expect-error a plain list has no parts
same<ConsumerApi<Paged>['actions']['list']['part'], Stream['list']['part']>();

// Filters name fields of the entity

@Consumer()
class Filtered extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: ['archived'] } }),
  List,
) {
  override async list({ filter }: { filter?: { archived?: boolean } }, context: ActionContext) {
    return (await super.list({ filter: { archived: false, ...filter } }, context)).filter((room) => room.isOpen());
  }
}
type FilterKwargs = ConsumerApi<Searched>['actions']['list']['kwargs'];
@Consumer()
class Searched extends mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    paginator: LimitOffsetPaginator,
    filters: { fields: ['archived', 'host'], ordering: ['name', 'id'], search: ['name'] },
  }),
  List,
) {
  override async list(kwargs: { limit?: number }, context: ActionContext) {
    const page = await super.list({ ...kwargs, ordering: '-name' }, context);
    same<typeof page, LimitOffsetPage<Room>>();
    return new LimitOffsetPage(page.count, page.results.slice(1), page.limit, page.offset);
  }
}
some<Filtered>();
({ limit: 1 }) satisfies FilterKwargs;

type Allowed = ConsumerApi<Allowing>['actions']['list']['kwargs'];
@Consumer()
class Allowing extends mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    filters: { fields: ['archived', 'host'], ordering: ['name', 'id'], search: ['name'] },
  }),
  List,
) {}
({ filter: { archived: true, host: [1, 2] }, ordering: ['-name', 'id'], search: 'red' }) satisfies Allowed;
({ ordering: '-id' }) satisfies Allowed;
// @ts-expect-error no filter of this name
({ filter: { slug: 'red' } }) satisfies Allowed;
// @ts-expect-error a room is archived or not
({ filter: { archived: 'yes' } }) satisfies Allowed;
// @ts-expect-error a host is named by key
({ filter: { host: { id: 1 } } }) satisfies Allowed;
// @ts-expect-error lists are not ordered by it
({ ordering: 'archived' }) satisfies Allowed;
// @ts-expect-error a search is text
({ search: 4 }) satisfies Allowed;
// @ts-expect-error without a paginator there is no limit
({ limit: 4 }) satisfies Allowed;
// @ts-expect-error a room has no such field
ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: ['archvied'] } });
// @ts-expect-error nor is it ordered by one
ModelConsumer(Room, { serializer: RoomSerializer, filters: { ordering: ['colour'] } });
// @ts-expect-error only texts are searched
ModelConsumer(Room, { serializer: RoomSerializer, filters: { search: ['archived'] } });
// @ts-expect-error misspelt
ModelConsumer(Room, { serializer: RoomSerializer, filters: { feilds: ['archived'] } });
// @ts-expect-error no paginator
ModelConsumer(Room, { serializer: RoomSerializer, paginator: Room });

// Objects by another column

@Consumer()
class ByName extends mix(ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'name' }), Retrieve) {}
same<ConsumerApi<ByName>['actions']['retrieve']['kwargs'], { name: string }>();
@Consumer()
class BySlug extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'name', lookupUrlKwarg: 'slug' }),
  Retrieve,
) {}
same<ConsumerApi<BySlug>['actions']['retrieve']['kwargs'], { slug: string }>();
@Consumer()
class ByKey extends mix(ModelConsumer(Room, { serializer: RoomSerializer, lookupUrlKwarg: 'key' }), Retrieve) {}
same<ConsumerApi<ByKey>['actions']['retrieve']['kwargs'], { key: number }>();
// @ts-expect-error it is named by its name
same<ConsumerApi<ByName>['actions']['retrieve']['kwargs'], { pk: number }>();
// @ts-expect-error a room has no such field
ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'colour' });

// A paginator of the application's own

class Chunk<Row> extends Page<Row> {
  constructor(
    readonly results: readonly Row[],
    readonly isLast: boolean,
  ) {
    super();
  }
}
interface ChunkTypes extends PaginatorTypes {
  readonly page: Chunk<this['row']>;
}
class ChunkKwargs {
  chunk!: number;
}
class Chunks extends Paginator {
  declare readonly [paginatorTypes]: ChunkTypes;
  static override readonly kwargs = ChunkKwargs;
  async page<Row>(source: PageSource<Row>, { chunk }: ChunkKwargs): Promise<Chunk<Row>> {
    const rows = await source.slice(chunk * this.pageSize, this.sizeOf(undefined));
    return new Chunk(rows, rows.length < this.pageSize);
  }
  next({ isLast }: Chunk<unknown>, { chunk }: ChunkKwargs): ChunkKwargs | undefined {
    return isLast ? undefined : { chunk: chunk + 1 };
  }
}
@Consumer()
class Chunked extends mix(ModelConsumer(Room, { serializer: RoomSerializer, paginator: Chunks }), List) {}
some<ConsumerApi<Chunked>['actions']['list']['reply']>() satisfies { results: readonly RoomView[]; isLast: boolean };
same<ConsumerApi<Chunked>['actions']['list']['kwargs'], { chunk: number }>();

// Operators, and what relations lead to

class MineKwargs {
  mine?: boolean;
}
class Archive extends FilterBackend<{ archived: boolean }> {
  static override readonly kwargs = ArchiveKwargs();
  filterQuery(query: FilterQuery<{ archived: boolean }>): FilterQuery<{ archived: boolean }> {
    return query;
  }
}
function ArchiveKwargs() {
  return class {
    all?: boolean;
  };
}
class OfMessages extends FilterBackend<Message> {
  filterQuery(query: FilterQuery<Message>): FilterQuery<Message> {
    return query;
  }
}

@Consumer()
class Asked extends mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    filters: {
      fields: {
        name: ['exact', 'icontains'],
        topic: ['exact', 'not', 'is_null'],
        opensAt: ['lt', 'between'],
        'host.username': ['exact', 'in'],
        'deputy.username': ['exact'],
        members: ['exact', 'in', 'not'],
        'messages.user.username': ['starts_with'],
      },
      ordering: ['host.username'],
      search: ['host.username', 'messages.text'],
      kwargs: MineKwargs,
      backends: [Archive],
    },
  }),
  List,
) {
  protected override filterQuery(query: FilterQuery<Room>, _context: ActionContext, { mine, all }: RoomKwargs) {
    same<typeof mine, boolean | undefined>();
    same<typeof all, boolean | undefined>();
    return query;
  }
}
interface RoomKwargs {
  mine?: boolean;
  all?: boolean;
}
type AskedKwargs = ConsumerApi<Asked>['actions']['list']['kwargs'];
({
  filter: {
    name: 'red',
    topic: { not: [null, 'x'] },
    opensAt: { lt: '2026-01-01T00:00:00Z', between: ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] },
    'host.username': ['ann', 'bob'],
    'deputy.username': null,
    members: { not: 1 },
    'messages.user.username': { starts_with: 'a' },
  },
  ordering: '-host.username',
  search: 'x',
  mine: true,
  all: false,
}) satisfies AskedKwargs;
({ filter: { name: { icontains: 'r' }, topic: { is_null: true }, members: [1, 2] } }) satisfies AskedKwargs;
// @ts-expect-error it has no such operator
({ filter: { name: { contains: 'r' } } }) satisfies AskedKwargs;
// @ts-expect-error nor is it one of several
({ filter: { name: ['red'] } }) satisfies AskedKwargs;
// @ts-expect-error it has bounds only
({ filter: { opensAt: '2026-01-01T00:00:00Z' } }) satisfies AskedKwargs;
// @ts-expect-error a bound is not null
({ filter: { opensAt: { lt: null } } }) satisfies AskedKwargs;
// @ts-expect-error there are two bounds
({ filter: { opensAt: { between: ['2026-01-01T00:00:00Z'] } } }) satisfies AskedKwargs;
// @ts-expect-error a name is text
({ filter: { 'host.username': 4 } }) satisfies AskedKwargs;
// @ts-expect-error every room has a host
({ filter: { 'host.username': null } }) satisfies AskedKwargs;
// @ts-expect-error members are named by key
({ filter: { members: { not: 'ann' } } }) satisfies AskedKwargs;
// @ts-expect-error what the backend declares is a boolean
({ all: 4 }) satisfies AskedKwargs;
// @ts-expect-error no such kwarg
({ others: true }) satisfies AskedKwargs;
// @ts-expect-error a host has no such field
ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: ['host.nickname'] } });
// @ts-expect-error nor has a room
ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: { archvied: ['exact'] } } });
// @ts-expect-error no such operator
ModelConsumer(Room, { serializer: RoomSerializer, filters: { fields: { name: ['like'] } } });
// @ts-expect-error only texts are searched
ModelConsumer(Room, { serializer: RoomSerializer, filters: { search: ['host.id'] } });
// @ts-expect-error it is for messages
ModelConsumer(Room, { serializer: RoomSerializer, filters: { backends: [OfMessages] } });
// @ts-expect-error it is no backend
ModelConsumer(Room, { serializer: RoomSerializer, filters: { backends: [RoomSerializer] } });

@Consumer()
class AskedAlone extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, filters: { backends: [Archive] } }),
  List,
) {}
({ all: true }) satisfies ConsumerApi<AskedAlone>['actions']['list']['kwargs'];
