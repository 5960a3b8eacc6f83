import type { EntityClass, EntityManager } from '@mikro-orm/core';
import {
  Action,
  ActionContext,
  type ApiConsumer,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type Subscription,
  Update,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { testProviders } from './providers.js';

type Row = Record<string, unknown>;
type Entity = EntityClass<Row> & (new () => Row);

/** What a serializer of any entity may be told. */
export interface RowOptions {
  readonly fields: readonly string[];
  readonly [option: string]: unknown;
}

/** A consumer of an entity with every mixin, and an observer of all its rows. */
function consumerOf(
  entity: Entity,
  options: RowOptions,
  consumerOptions: object = {},
  methods: object = {},
): new () => ApiConsumer {
  @injectable()
  class RowSerializer extends ModelSerializer(entity, options as never) {}

  Object.assign(RowSerializer.prototype, methods);

  @Consumer()
  class RowConsumer extends mix(
    ModelConsumer(entity, { serializer: RowSerializer, ...consumerOptions } as never),
    List,
    Retrieve,
    Create,
    Update,
    Patch,
    Delete,
    ObserveInstance,
  ) {
    @Action()
    async watch(context: ActionContext) {
      await this.subscribe(this.onRow, {}, context);
    }

    @ModelObserver(() => entity, { serializer: RowSerializer })
    async onRow(event: ModelEvent<Row>, subscription: Subscription<object>) {
      await subscription.send(event as never);
    }

    @GroupsForSignal('onRow') protected *groupsOfRow() {
      yield 'all';
    }

    @GroupsForConsumer('onRow') protected *groupsOfClient() {
      yield 'all';
    }
  }
  return RowConsumer;
}

/** A client of one entity's rows, which looks at a row on every way that leads out of the database. */
export class RowClient implements AsyncDisposable {
  private constructor(
    private readonly app: App,
    readonly connection: TestConnection,
    readonly logger: MemoryLogger,
  ) {}

  /** @param methods those of the serializer's computed fields */
  static async open(
    orm: { readonly em: EntityManager },
    entity: unknown,
    options: RowOptions,
    consumerOptions?: object,
    methods?: object,
  ): Promise<RowClient> {
    const consumer = consumerOf(entity as Entity, options, consumerOptions, methods);
    const { container, logger } = testProviders();
    const app = createApp({ orm, container, routes: [path('/ws/', consumer)] });
    try {
      const connection = await connect(app, '/ws/');
      await connection.request('watch', { request_id: 'watch' });
      return new RowClient(app, connection, logger);
    } catch (error) {
      await app.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
  }

  /** The status and the data, or the status and the errors. @throws Error with what the log says of a 500 */
  async send(action: string, kwargs: object = {}): Promise<readonly [status: number, said: unknown]> {
    const { response_status: status, data, errors } = await this.connection.request(action, { ...kwargs });
    if (status === 500) throw this.logger.at('error').at(-1)?.fields['error'];
    return [status, errors.length > 0 ? errors : data];
  }

  /** What each event said that came until now. */
  async events(): Promise<readonly unknown[]> {
    await this.app.idle();
    const [, ...events] = this.connection.frames.filter(({ request_id: id }) => id === 'watch');
    return events.map(({ data }) => data);
  }

  /** Creates a row: what the reply, the event, `list` and `retrieve` show of it. */
  async created(data: object): Promise<unknown> {
    const reply = await this.send('create', { data });
    if (reply[0] !== 201) return reply;
    return this.everywhere(reply[1]);
  }

  async patched(pk: unknown, data: object): Promise<unknown> {
    const reply = await this.send('patch', { pk, data });
    return reply[0] === 200 ? this.everywhere(reply[1]) : reply;
  }

  /** One value where all ways agree, else what each of them says. */
  private async everywhere(reply: unknown): Promise<unknown> {
    const event = (await this.events()).at(-1);
    const { id } = reply as Row;
    const [, rows] = await this.send('list');
    const list = (rows as Row[]).find((row) => JSON.stringify(row['id']) === JSON.stringify(id));
    const [, retrieved] = await this.send('retrieve', { pk: id });
    const texts = new Set([reply, event, list, retrieved].map((shown) => JSON.stringify(shown)));
    return texts.size === 1 ? reply : { reply, event, list, retrieved };
  }
}
