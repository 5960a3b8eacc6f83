import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { IsBoolean, IsEmail, IsInt, Length, Max, MaxLength, Min } from 'class-validator';
import {
  Action,
  ActionContext,
  Consumer,
  Create,
  createApp,
  Delete,
  LimitOffsetPaginator,
  List,
  Logger,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Page,
  type PageSource,
  Paginator,
  type PaginatorTypes,
  Patch,
  type paginatorTypes,
  path,
  Retrieve,
  type Subscription,
} from 'signalbox';
import { container, injectable } from 'tsyringe';

@Entity({ tableName: 'person' })
class Person {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string', length: 150 })
  @Length(1, 150)
  name!: string;

  @Property({ type: 'string', length: 254 })
  @IsEmail()
  @MaxLength(254)
  email!: string;

  @Property({ type: 'string', length: 150 })
  @MaxLength(150)
  city!: string;

  @Property({ type: 'integer' })
  @IsInt()
  @Min(0)
  @Max(150)
  age!: number;

  @Property({ type: 'boolean' })
  @IsBoolean()
  active!: boolean;

  @Property({ type: 'datetime', onCreate: () => new Date() })
  joined!: Date;
}

@injectable()
class PersonSerializer extends ModelSerializer(Person, {
  fields: ['id', 'name', 'email', 'city', 'age', 'active', 'joined'],
  readOnly: ['id', 'joined'],
}) {}

class Rows<Row> extends Page<Row> {
  constructor(
    readonly results: readonly Row[],
    readonly limit: number,
    readonly offset: number,
  ) {
    super();
  }
}

interface RowsTypes extends PaginatorTypes {
  readonly page: Rows<this['row']>;
}

/** Pages by offset that do not count. */
class Uncounted extends Paginator {
  declare readonly [paginatorTypes]: RowsTypes;
  static override readonly kwargs = LimitOffsetPaginator.kwargs;
  override readonly maximumPageSize = 1_000;

  async page<Row>(source: PageSource<Row>, { limit, offset = 0 }: { limit?: number; offset?: number }) {
    const size = this.sizeOf(limit);
    return new Rows(await source.slice(offset, size), size, offset);
  }

  next({ results, limit, offset }: Rows<unknown>) {
    return results.length < limit ? undefined : { limit, offset: offset + limit };
  }
}

@Consumer()
class People extends mix(
  ModelConsumer(Person, { serializer: PersonSerializer, paginator: Uncounted }),
  List,
  Retrieve,
  Create,
  Patch,
  Delete,
  ObserveInstance,
) {
  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs['data'];
  }

  @Action({ kwargs: LimitOffsetPaginator.kwargs })
  async listCounted(kwargs: { limit?: number; offset?: number }, context: ActionContext) {
    return this.scope.container.resolve(LimitOffsetPaginator).page(await this.rows({}, context), kwargs);
  }

  @Action({ name: 'subscribe', status: 201 })
  async subscribeToPeople(context: ActionContext) {
    await this.subscribe(this.onPerson, {}, context);
  }

  @ModelObserver(() => Person, { serializer: PersonSerializer })
  async onPerson(event: ModelEvent<PersonSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

function furtherConsumer() {
  @Consumer()
  class Further extends mix(ModelConsumer(Person, { serializer: PersonSerializer }), Retrieve) {}
  return Further;
}

function furtherObserver() {
  @Consumer()
  class Observing extends mix(ModelConsumer(Person, { serializer: PersonSerializer }), Retrieve) {
    @ModelObserver(() => Person, { serializer: PersonSerializer })
    async onPerson(event: ModelEvent<PersonSerializer>, subscription: Subscription<object>) {
      await subscription.send(event);
    }
  }
  return Observing;
}

const [, , clientUrl = '', options = '{}'] = process.argv;
const { consumers = 0, observers = 0 }: { consumers?: number; observers?: number } = JSON.parse(options);
const further = [
  ...Array.from({ length: consumers }, furtherConsumer),
  ...Array.from({ length: observers }, furtherObserver),
];
const orm = await MikroORM.init({
  clientUrl,
  entities: [Person],
  metadataProvider: ReflectMetadataProvider,
  pool: { min: 8, max: 8 },
});
// One address connects and asks as no client may. The peers have no such limits.
const many = 2_147_483_647;
const limits = {
  messagesPerSecond: many,
  messageBurst: many,
  bytesPerSecond: many,
  connections: many,
  connectionsPerAddress: many,
  addressHandshakesPerSecond: many,
  addressHandshakeBurst: many,
  handshakesPerSecond: many,
};
container.registerInstance(Logger, new Logger('warn'));
const app = createApp({
  orm,
  routes: [path('/', People), ...further.map((consumer, index) => path(`/further/${index}/`, consumer))],
  settings: { development: false, log: { actions: false }, limits },
});
const { port } = await app.listen({ host: '127.0.0.1' });
process.on('disconnect', () => process.exit());
process.send?.({ port });
