import {
  BulkCreate,
  BulkDelete,
  BulkPatch,
  Consumer,
  type ConsumerApi,
  ModelConsumer,
  ModelSerializer,
  mix,
  ObserveKinds,
  ObserveRows,
} from 'signalbox';
import { type Client, createClient } from 'signalbox/client';
import { injectable } from 'tsyringe';
import { Room } from './entities.js';
import { same, some } from './support.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'], readOnly: ['id'] }) {}
type RoomView = { id: number; name: string };

// By kind

@Consumer()
class ByKind extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), ObserveKinds) {}
type Kinds = ConsumerApi<ByKind>;
same<keyof Kinds['actions'], 'subscribeKind' | 'unsubscribeKind'>();
same<keyof Kinds['observers'], 'onCreated' | 'onUpdated' | 'onDeleted'>();
same<Kinds['observers']['onUpdated']['event'], { readonly action: 'update'; readonly data: RoomView }>();
same<Kinds['observers']['onDeleted']['event'], { readonly action: 'delete'; readonly data: { pk: number } }>();
({ data: { action: 'update' } }) satisfies Kinds['actions']['subscribeKind']['kwargs'];
({ data: { action: 'delete' }, pk: 1 }) satisfies Kinds['actions']['subscribeKind']['kwargs'];
// @ts-expect-error there is no such kind
({ data: { action: 'move' } }) satisfies Kinds['actions']['subscribeKind']['kwargs'];
// @ts-expect-error a key is a number
({ data: { action: 'update' }, pk: 'x' }) satisfies Kinds['actions']['subscribeKind']['kwargs'];
some<Client<Kinds>>().$on('onUpdated', 'subscribeKind', { data: { action: 'update' }, pk: 1 }, ({ action, data }) => {
  same<typeof action, 'update'>();
  data.name satisfies string;
});

// By the declared filters

@Consumer()
class ByFilter extends mix(
  ModelConsumer(Room, {
    serializer: RoomSerializer,
    filters: { fields: { name: ['istarts_with'], host: ['in', 'is_null'], 'host.username': ['exact'] } },
  }),
  ObserveRows,
) {}
type Rows = ConsumerApi<ByFilter>;
type Followed = Rows['actions']['subscribeRows']['kwargs'];
same<
  Rows['observers']['onRow']['event'],
  | { readonly action: 'create' | 'update'; readonly data: RoomView }
  | { readonly action: 'delete'; readonly data: { pk: number } }
>();
({}) satisfies Followed;
({ filter: { name: { istarts_with: 'r' }, host: [1, 2] } }) satisfies Followed;
// @ts-expect-error an operator that is not declared
({ filter: { name: { contains: 'r' } } }) satisfies Followed;
// @ts-expect-error a relation leads to other rows
({ filter: { 'host.username': 'ann' } }) satisfies Followed;
some<Client<Rows>>().$on('onRow', 'subscribeRows', { filter: { host: { is_null: true } } });

// Several rows

@Consumer()
class Several extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), BulkCreate, BulkPatch, BulkDelete) {}
type Bulk = ConsumerApi<Several>['actions'];
same<Bulk['bulkCreate']['reply'], RoomView[]>();
same<Bulk['bulkPatch']['reply'], RoomView[]>();
same<Bulk['bulkDelete']['reply'], null>();
({ data: [{ name: 'red' }] }) satisfies Bulk['bulkCreate']['kwargs'];
({ data: [{ pk: 1, data: { name: 'red' } }] }) satisfies Bulk['bulkPatch']['kwargs'];
({ pks: [1, 2] }) satisfies Bulk['bulkDelete']['kwargs'];
// @ts-expect-error create needs all that is required
({ data: [{}] }) satisfies Bulk['bulkCreate']['kwargs'];
// @ts-expect-error nothing names the row
({ data: [{ data: { name: 'red' } }] }) satisfies Bulk['bulkPatch']['kwargs'];
// @ts-expect-error a key is a number
({ pks: ['red'] }) satisfies Bulk['bulkDelete']['kwargs'];
createClient<ConsumerApi<Several>>('wss://example.org/').bulkDelete({ pks: [1] });

@Consumer()
class ByName extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer, lookupField: 'name' }),
  BulkPatch,
  BulkDelete,
) {}
({ data: [{ name: 'red', data: {} }] }) satisfies ConsumerApi<ByName>['actions']['bulkPatch']['kwargs'];
({ pks: ['red'] }) satisfies ConsumerApi<ByName>['actions']['bulkDelete']['kwargs'];
// @ts-expect-error the bound is a number
ModelConsumer(Room, { serializer: RoomSerializer, maximumBulkSize: '4' });
