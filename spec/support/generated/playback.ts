import { EntityCaseNamingStrategy } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  Action,
  ActionContext,
  type App,
  Consumer,
  Create,
  createApp,
  Delete,
  demultiplexer,
  GroupsForBoth,
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
  type Route,
  type SerializerClass,
  type Subscription,
  Update,
} from 'signalbox';
import { connect, type MemoryLogger, type TestChannel, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { testProviders } from '../providers.js';
import { embeddables } from './column-kinds.js';
import {
  type Batch,
  type Cell,
  type GeneratedModel,
  modelsOf,
  ormOptions,
  type Row,
  type RowClass,
} from './generated-models.js';

/** A computed field that does nothing: its serializer shows entities, and never rows as they are. */
const forcesEntities = 'entityNeeded';

/** What is said of one row twice, and differently. */
export interface Difference {
  readonly model: string;
  readonly what: string;
  readonly field: string;
  readonly kind: string;
  readonly one: string;
  readonly other: string;
}

export function described({ model, what, field, kind, one, other }: Difference): string {
  return `${model}.${field} (${kind}), ${what}: ${one} / ${other}`;
}

interface Serializers {
  /** Nested in others: it nests nothing. */
  readonly short: SerializerClass;
  readonly planned: SerializerClass;
  readonly byEntities: SerializerClass;
}

type Options = { readonly fields: string[]; readonly [option: string]: unknown };

function serializer(entity: RowClass, name: string, options: Options): SerializerClass {
  const base = ModelSerializer(entity as never, options as never) as unknown as new () => object;
  const made = { [name]: class extends base {} }[name] as SerializerClass;
  if (options['computed']) Reflect.set(made.prototype, forcesEntities, () => null);
  return injectable()(made as never) ?? made;
}

function serializersOf(models: readonly GeneratedModel[]): ReadonlyMap<GeneratedModel, Serializers> {
  const shorts = new Map(models.map((model) => [model, shortOf(model)]));
  return new Map(
    models.map((model) => {
      const { name, entity, keys, fields, relations } = model;
      const nested = Object.fromEntries(
        relations.filter(({ isNested }) => isNested).map((relation) => [relation.name, shorts.get(relation.target)]),
      );
      const options: Options = {
        fields: [
          ...keys.map((key) => key.name),
          ...fields.filter(({ use }) => use !== 'writeOnly').map((field) => field.name),
          ...relations.map((relation) => relation.name),
        ],
        readOnly: fields.filter(({ use }) => use === 'readOnly').map((field) => field.name),
        writeOnly: fields.filter(({ use }) => use === 'writeOnly').map((field) => field.name),
        optional: fields.map((field) => field.name),
        nested,
      };
      return [
        model,
        {
          short: shorts.get(model) as SerializerClass,
          planned: serializer(entity, `${name}Planned`, options),
          byEntities: serializer(entity, `${name}ByEntities`, { ...options, computed: [forcesEntities] }),
        },
      ];
    }),
  );
}

function shortOf({ name, entity, keys, fields, relations }: GeneratedModel): SerializerClass {
  const own = relations.filter(({ isOwn }) => isOwn).map((relation) => relation.name);
  const shown = fields.filter(({ use }) => use !== 'writeOnly').map((field) => field.name);
  const readOnly = fields.filter(({ use }) => use === 'readOnly').map((field) => field.name);
  return serializer(entity, `${name}Short`, { fields: [...keys.map((key) => key.name), ...shown, ...own], readOnly });
}

function consumerOf(entity: RowClass, shownBy: SerializerClass) {
  @Consumer()
  class Generated extends mix(
    ModelConsumer(entity as never, { serializer: shownBy } as never),
    List,
    Retrieve,
    Create,
    Update,
    Patch,
    Delete,
    ObserveInstance,
  ) {
    @Action({ status: 201 })
    async watch(context: ActionContext) {
      await this.subscribe(this.onRow, {}, context);
    }
    @ModelObserver(() => entity as never, { serializer: shownBy })
    async onRow(event: ModelEvent<object>, subscription: Subscription) {
      await subscription.send(event);
    }
    @GroupsForBoth('onRow') protected *groupsOfAll() {
      yield 'all';
    }
  }
  return Generated;
}

/** What has to be in the database before the tables. */
const types = [
  'drop schema if exists public cascade',
  'create schema public',
  'create domain positive as integer check (value > 0)',
  'create domain word as text check (length(value) < 10)',
];

async function ormOf(clientUrl: string, { options }: Batch, models: readonly GeneratedModel[]): Promise<MikroORM> {
  const given = ormOptions[options];
  const orm: MikroORM = await MikroORM.init({
    clientUrl,
    entities: [...models.map(({ entity }) => entity), ...embeddables],
    metadataProvider: ReflectMetadataProvider,
    ...(given as object),
    ...('namingStrategy' in given && { namingStrategy: EntityCaseNamingStrategy }),
  });
  for (const sql of types) await orm.em.execute(sql);
  await orm.schema.create();
  return orm;
}

const unlimited = { messagesPerSecond: 1_000_000, messageBurst: 1_000_000, subscriptions: 1_000 };

/** Plays a batch through an application, and gives all that is shown otherwise in one place than in another. */
export async function differencesIn(batch: Batch, clientUrl: string): Promise<readonly Difference[]> {
  const models = modelsOf(batch);
  const orm = await ormOf(clientUrl, batch, models);
  const { container, logger } = testProviders();
  const serializers = serializersOf(models);
  const streams = models.flatMap((model) => {
    const { planned, byEntities } = serializers.get(model) as Serializers;
    return [
      [model.name, consumerOf(model.entity, planned)],
      [`${model.name} by entities`, consumerOf(model.entity, byEntities)],
    ] as const;
  });
  const routes: Route[] = [path('/ws/', demultiplexer(Object.fromEntries(streams) as never))];
  let app: App<readonly Route[]> | undefined;
  try {
    app = createApp<readonly Route[]>({ orm, container, routes, settings: { limits: unlimited } });
    const connection = await connect(app, '/ws/');
    const playback = new Playback(app, orm, connection, logger);
    for (const model of models) await playback.play(model);
    for (const model of models) await playback.compareReads(model, 'at the end');
    await connection[Symbol.asyncDispose]();
    return playback.differences;
  } finally {
    await app?.close();
    await orm.close(true);
  }
}

interface Known {
  readonly pk: unknown;
  /** As it is sent by those that refer to it. */
  readonly shown: Row;
}

class Playback {
  readonly differences: Difference[] = [];
  readonly #rows = new Map<GeneratedModel, Known[]>();
  #logged = 0;

  constructor(
    private readonly app: App<readonly Route[]>,
    private readonly orm: MikroORM,
    private readonly connection: TestConnection,
    private readonly logger: MemoryLogger,
  ) {}

  async play(model: GeneratedModel): Promise<void> {
    const rows: Known[] = [];
    this.#rows.set(model, rows);
    await this.#ask(model, this.#planned(model), 'watch', { request_id: 'watch' });
    await this.#ask(model, this.#byEntities(model), 'watch', { request_id: 'watch' });
    for (let row = 0; row < 3; row += 1) await this.#create(model, row, rows);
    await this.compareReads(model, 'after create');
    for (const known of [...rows]) await this.#sendBack(model, known);
    for (const [row, known] of [...rows].entries()) await this.#change(model, row, known);
    await this.compareReads(model, 'after patch');
  }

  async #create(model: GeneratedModel, row: number, rows: Known[]): Promise<void> {
    const data = this.#dataOf(model, row, row, true);
    if (!data) return;
    const reply = await this.#ask(model, this.#planned(model), 'create', { data });
    if (!reply) return;
    const shown = reply as Row;
    const events = await this.#events(model, 'watch');
    this.#compareEvent(model, 'create and its event', shown, events.planned, 'create');
    this.#compareEvent(model, 'create and its event by entities', shown, events.byEntities, 'create');
    const pk = pkOf(model, shown);
    rows.push({ pk, shown });
    for (const channel of [this.#planned(model), this.#byEntities(model)]) {
      const read = await this.#ask(model, channel, 'retrieve', { pk });
      if (read)
        this.#compare(
          model,
          channel === this.#planned(model) ? 'create and retrieve' : 'create and retrieve by entities',
          shown,
          read,
        );
      await this.#ask(model, channel, 'subscribe_instance', { pk, request_id: `instance ${JSON.stringify(pk)}` });
    }
  }

  /** What was shown may be sent back, and changes nothing. */
  async #sendBack(model: GeneratedModel, { pk }: Known): Promise<void> {
    for (const action of ['patch', 'update'] as const) {
      const shown = await this.#ask(model, this.#planned(model), 'retrieve', { pk });
      if (!shown) return;
      const before = await this.#stored(model);
      const data = action === 'patch' ? shown : this.#whole(model, shown as Row);
      if (!data) return;
      const reply = await this.#ask(
        model,
        this.#planned(model),
        action,
        { pk, data },
        `what was shown, sent back by ${action}`,
      );
      if (reply) this.#compare(model, `what was shown and the reply to ${action}`, shown, reply);
      const { planned } = await this.#events(model, 'watch');
      for (const event of planned) {
        const same = JSON.stringify(event.data) === JSON.stringify(shown);
        const field = same
          ? '*'
          : (Object.keys(event.data).find(
              (name) => JSON.stringify(Reflect.get(event.data, name)) !== JSON.stringify(Reflect.get(shown, name)),
            ) ?? '*');
        this.#note(model, `an event of what was sent back by ${action}`, field, shown, event);
      }
      const after = await this.#stored(model);
      if (before !== after)
        this.#note(model, `the rows after what was shown was sent back by ${action}`, '*', before, after);
    }
  }

  /** Write-only fields are not shown, so that a whole row needs them from elsewhere. */
  #whole(model: GeneratedModel, shown: Row): Row | undefined {
    return model.fields.some(({ use }) => use === 'writeOnly') ? undefined : shown;
  }

  async #change(model: GeneratedModel, row: number, { pk }: Known): Promise<void> {
    const data = this.#dataOf(model, row + 1, row, false);
    if (!data) return;
    const channel = row % 2 === 0 ? this.#planned(model) : this.#byEntities(model);
    const before = await this.#stored(model);
    await this.#events(model, `instance ${JSON.stringify(pk)}`);
    await this.#events(model, 'watch');
    const reply = await this.#ask(model, channel, 'patch', { pk, data });
    if (!reply) return;
    const after = await this.#stored(model);
    const read = await this.#ask(model, this.#planned(model), 'retrieve', { pk });
    if (read)
      this.#compare(
        model,
        channel === this.#planned(model) ? 'patch and retrieve' : 'patch by entities and retrieve',
        reply,
        read,
      );
    const events = await this.#events(model, 'watch');
    const instance = await this.#events(model, `instance ${JSON.stringify(pk)}`);
    if (before === after) return;
    this.#compareEvent(model, 'patch and its event', reply as Row, events.planned, 'update');
    this.#compareEvent(model, 'patch and its event by entities', reply as Row, events.byEntities, 'update');
    this.#compareEvent(model, 'patch and the event of the instance', reply as Row, instance.planned, 'update');
    this.#compareEvent(
      model,
      'patch and the event of the instance by entities',
      reply as Row,
      instance.byEntities,
      'update',
    );
  }

  async compareReads(model: GeneratedModel, when: string): Promise<void> {
    const known = this.#rows.get(model) ?? [];
    const planned = ((await this.#ask(model, this.#planned(model), 'list', {})) ?? []) as Row[];
    const byEntities = ((await this.#ask(model, this.#byEntities(model), 'list', {})) ?? []) as Row[];
    if (planned.length !== known.length || byEntities.length !== known.length)
      this.#note(model, `list and list by entities ${when}`, '*', planned, byEntities);
    for (const [index, row] of planned.entries()) {
      this.#compare(model, `list and list by entities ${when}`, row, byEntities[index] ?? {});
      const read = await this.#ask(model, this.#planned(model), 'retrieve', { pk: pkOf(model, row) });
      if (read) this.#compare(model, `list and retrieve ${when}`, row, read);
      const entity = await this.#ask(model, this.#byEntities(model), 'retrieve', { pk: pkOf(model, row) });
      if (entity) this.#compare(model, `list and retrieve by entities ${when}`, row, entity);
    }
  }

  #dataOf(model: GeneratedModel, cells: number, row: number, isNew: boolean): Row | undefined {
    const data: Row = {};
    if (isNew) for (const { name, value } of model.keys) if (value) data[name] = value(row);
    for (const { name, use, plan } of model.fields) {
      const cell: Cell | undefined = plan.cells[cells];
      if (!cell || !plan.kind.values || (use === 'readOnly' && !plan.isNullable && !plan.kind.hasDefault && isNew)) {
        if (plan.kind.values && use === 'readOnly' && isNew) return undefined;
        continue;
      }
      if (use === 'readOnly') continue;
      const mayLack = plan.isNullable || plan.kind.hasDefault || !isNew;
      if (cell.state === 'absent' && mayLack) continue;
      data[name] = cell.state !== 'value' && plan.isNullable ? null : cell.value;
    }
    for (const { name, plan, target, isOwn, isNested, isMany } of model.relations) {
      if (!isOwn) continue;
      const rows = this.#rows.get(target) ?? [];
      if (isNested) {
        if (isNew && !isMany && !plan.isNullable) return undefined;
        continue;
      }
      const picked = (plan.picks[cells] ?? []).flatMap((pick) => rows[pick % Math.max(rows.length, 1)] ?? []);
      if (isMany) data[name] = [...new Set(picked)].map((known) => known.pk);
      else if (plan.kind === '1:1') data[name] = isNew && picked.length > 0 ? (rows[row]?.pk ?? null) : null;
      else {
        const [known] = picked.length > 0 || plan.isNullable ? picked : rows;
        if (!known && !plan.isNullable) return undefined;
        data[name] = known?.pk ?? null;
      }
    }
    return data;
  }

  #planned({ name }: GeneratedModel): TestChannel {
    return this.connection.channel(name as never) as TestChannel;
  }

  #byEntities({ name }: GeneratedModel): TestChannel {
    return this.connection.channel(`${name} by entities` as never) as TestChannel;
  }

  async #ask(
    model: GeneratedModel,
    channel: TestChannel,
    action: string,
    kwargs: object,
    what = action,
  ): Promise<unknown> {
    const reply = await channel.request(action, kwargs as never, { timeout: 20_000 });
    const errors = this.logger.entries.slice(this.#logged).filter(({ level }) => level === 'error' || level === 'warn');
    this.#logged = this.logger.entries.length;
    for (const error of errors)
      this.#note(model, `the log during ${what}`, '*', kwargs, `${error.message} ${errorText(error)}`);
    if (reply.errors.length === 0) return reply.data ?? true;
    const [first] = reply.errors as readonly unknown[];
    const field = typeof first === 'object' && first !== null ? (Object.keys(first)[0] ?? '*') : '*';
    this.#note(
      model,
      `${what} is refused (${channel === this.#planned(model) ? 'planned' : 'by entities'})`,
      field,
      kwargs,
      reply.errors,
    );
    return undefined;
  }

  async #events(
    model: GeneratedModel,
    requestId: string,
  ): Promise<{ planned: readonly Event[]; byEntities: readonly Event[] }> {
    await this.app.idle();
    const take = (channel: TestChannel): Event[] => {
      const isEvent = ({ request_id: id, action }: Event): boolean =>
        id === requestId && ['create', 'update', 'delete'].includes(String(action));
      const found = channel.frames.filter((frame) => isEvent(frame as never));
      channel.frames.splice(0, channel.frames.length, ...channel.frames.filter((frame) => !isEvent(frame as never)));
      return found as never;
    };
    return { planned: take(this.#planned(model)), byEntities: take(this.#byEntities(model)) };
  }

  async #stored({ entity }: GeneratedModel): Promise<string> {
    const table = this.orm.getMetadata(entity as never).tableName;
    const rows = await this.orm.em.fork().execute(`select t::text as row from "${table}" t order by 1`);
    return JSON.stringify(rows);
  }

  /** One event of the row. Those of others, which the write has changed as well, are no part of it. */
  #compareEvent(model: GeneratedModel, what: string, shown: Row, events: readonly Event[], action: string): void {
    const key = JSON.stringify(pkOf(model, shown));
    const own = events.filter(({ data }) => JSON.stringify(pkOf(model, data)) === key);
    const [event, ...others] = own;
    if (!event || others.length > 0 || event.action !== action) {
      this.#note(model, what, '*', shown, own);
      return;
    }
    this.#compare(model, what, shown, event.data);
  }

  #compare(model: GeneratedModel, what: string, one: unknown, other: unknown): void {
    const names = new Set([...Object.keys(Object(one)), ...Object.keys(Object(other))]);
    names.delete(forcesEntities);
    for (const name of names) {
      const [left, right] = [Reflect.get(Object(one), name), Reflect.get(Object(other), name)];
      if (JSON.stringify(left) !== JSON.stringify(right)) this.#note(model, what, name, left, right);
    }
  }

  #note(model: GeneratedModel, what: string, field: string, one: unknown, other: unknown): void {
    const { name, fields, relations, keys, plan } = model;
    const relation = relations.find((each) => each.name === field);
    const kind =
      fields.find((each) => each.name === field)?.plan.kind.name ??
      (relation &&
        `${relation.isOwn ? 'own' : 'inverse'} ${relation.plan.kind}${relation.isNested ? ' nested' : ''} to ${relation.target.plan.key}`) ??
      (keys.some((each) => each.name === field) ? `key ${plan.key}` : `table of key ${plan.key}`);
    const text = (value: unknown): string =>
      (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')).slice(0, 600);
    this.differences.push({ model: name, what, field, kind, one: text(one), other: text(other) });
  }
}

interface Event {
  readonly request_id: unknown;
  readonly action: string;
  readonly data: Row;
}

function errorText({ fields }: MemoryLogger['entries'][number]): string {
  const { error } = fields;
  return error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(fields);
}

function pkOf({ keys }: GeneratedModel, shown: Row): unknown {
  const [only, ...others] = keys;
  if (only && others.length === 0) return shown[only.name];
  return Object.fromEntries(keys.map(({ name }) => [name, shown[name]]));
}
