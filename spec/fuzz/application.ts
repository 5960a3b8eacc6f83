import { setImmediate as nextTurn } from 'node:timers/promises';
import { EntityManager, LockMode } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { IsArray, IsOptional, IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  ChannelLayer,
  Connections,
  Consumer,
  Counters,
  createApp,
  demultiplexer,
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  Logger,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  NotifyChannelLayer,
  ObserveInstance,
  Observer,
  OnMessage,
  type Permission,
  Permissions,
  path,
  Retrieve,
  RevokedBy,
  recheckOn,
  type Scope,
  type ScopeMiddleware,
  Signal,
  type SignalEvent,
  type Subscription,
  TimeLimitExceeded,
  type UserStore,
} from 'signalbox';
import { type LogEntry, MemoryCounters, MemoryLogger } from 'signalbox/testing';
import { container as globalContainer, injectable } from 'tsyringe';
import { nobody, people, type SecretColumns, topics, World, welcome } from './world.js';

@Entity()
export class Secret implements SecretColumns {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  owner!: string;

  @Property({ type: 'string' })
  topic!: string;

  @Property({ type: 'integer' })
  at!: number;

  @Property({ type: 'string' })
  readers!: string;

  @Property({ type: 'string' })
  guests!: string;
}

@Entity()
export class Right {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  reader!: string;

  @Property({ type: 'string' })
  name!: string;
}

export interface Whisper {
  readonly owner: string;
  readonly at: number;
  /** Whether it was sent by a transaction. Others have no order among commits and kicks. */
  readonly isCommitted: boolean;
}

export const whispered = new Signal<Whisper>('whispered');

/** What an action does, one move after the other. One that is late goes by the user that there was when the action began. */
export type Move =
  | { readonly do: 'turns'; readonly count: number }
  | { readonly do: 'gate' | 'abort' | 'logout' | 'read' | 'write' | 'fail' }
  | { readonly do: 'group'; readonly isLate: boolean }
  | { readonly do: 'login'; readonly user: string; readonly isForgotten: boolean }
  | {
      readonly do: 'subscribe';
      readonly to: 'own' | 'whisper';
      readonly isForgotten: boolean;
      readonly isLate: boolean;
    };

/** What an action answers. */
export interface Played {
  /** The moment at which its code began. */
  readonly began: number;
  /** Who it was logged in as, in order. */
  readonly became: readonly string[];
  /** How often it subscribed. */
  readonly subscriptions: number;
  /** Whose data it saw. */
  readonly seen: readonly string[];
}

/** The same while it is being played. */
interface Playing {
  readonly user: string;
  readonly began: number;
  readonly became: string[];
  subscriptions: number;
  readonly seen: string[];
}

/** What an action throws on purpose. The log has no other errors. */
export class Foul extends Error {
  override name = 'Foul';
}

class Script {
  @IsArray() moves!: Move[];
  /** Goes on with the next move where one is refused. */
  @IsOptional() isStubborn?: boolean;
}

class TopicScript extends Script {
  @IsString() topic!: string;
  /** What the permission does before it answers. */
  @IsOptional() permission?: 'none' | 'turns' | 'gate' | 'fail';
}

class Topic {
  @IsString() topic!: string;
}

const shown = ({ id, owner, topic, at, readers, guests }: SecretColumns): SecretColumns => ({
  id,
  owner,
  topic,
  at,
  readers,
  guests,
});

function userOf({ identity }: Scope): string {
  return identity?.userId ?? nobody;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

@injectable()
class IsWelcome implements Permission {
  constructor(private readonly em: EntityManager) {}

  async canConnect({ identity }: Scope): Promise<boolean> {
    return identity !== undefined && (await this.em.count(Right, { reader: identity.userId, name: welcome })) > 0;
  }
}

@injectable()
class KnowsTopic implements Permission {
  constructor(
    private readonly em: EntityManager,
    private readonly world: World,
  ) {}

  async hasPermission({ scope, kwargs, isDelivery }: ActionContext): Promise<boolean> {
    if (kwargs['permission'] === 'turns') await turns(5);
    if (!isDelivery && kwargs['permission'] === 'gate') await this.world.gate();
    if (!isDelivery && kwargs['permission'] === 'fail') throw new Foul('The permission fails.');
    return (await this.em.count(Right, { reader: userOf(scope), name: String(kwargs['topic']) })) > 0;
  }
}

/** Its clients say what its actions do. Nothing but the groups keeps the secrets of one user from another. */
@Consumer()
export class DeskConsumer extends ApiConsumer {
  constructor(
    private readonly connections: Connections,
    private readonly em: EntityManager,
    private readonly world: World,
  ) {
    super();
  }

  @Action()
  async play(script: Script, context: ActionContext): Promise<Played> {
    return this.run(script, context);
  }

  @Action({ detached: true })
  async playDetached(script: Script, context: ActionContext): Promise<Played> {
    return this.run(script, context);
  }

  @Action({ atomic: true })
  async playAtomic(script: Script, context: ActionContext): Promise<Played> {
    return this.run(script, context);
  }

  /** Detached, because the part of a request that is not belongs to whoever asked, whoever is logged in meanwhile. */
  @Action({ detached: true })
  async *playParts(script: Script, context: ActionContext) {
    for (const move of script.moves) yield await this.run({ ...script, moves: [move] }, context);
  }

  @Action({ status: 201, permissions: [KnowsTopic] })
  async watch({ topic, ...script }: TopicScript, context: ActionContext): Promise<Played> {
    await this.subscribe(this.onTopic, { topic }, context);
    const played = await this.run(script, context);
    return { ...played, subscriptions: played.subscriptions + 1 };
  }

  private async run({ moves, isStubborn }: Script, context: ActionContext): Promise<Played> {
    const began = this.world.moment();
    const user = userOf(context.scope);
    const playing: Playing = { user, began, became: [], subscriptions: 0, seen: [user] };
    for (const move of moves) {
      try {
        await this.make(move, context, playing);
      } catch (error) {
        if (!isStubborn || error instanceof Foul) throw error;
      }
    }
    return playing;
  }

  private async make(move: Move, context: ActionContext, playing: Playing): Promise<void> {
    const { scope, signal } = context;
    if (typeof move !== 'object' || move === null) throw new Foul('That is no move.');
    switch (move.do) {
      case 'turns':
        return turns(move.count);
      case 'gate':
        return this.world.gate();
      case 'abort':
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        return;
      case 'login': {
        const { user } = move;
        const done = this.connections.login(scope, { id: user }, { userId: user });
        if (!move.isForgotten) await done;
        playing.became.push(user);
        return;
      }
      case 'logout':
        await this.connections.logout(scope);
        playing.became.push(nobody);
        return;
      case 'read': {
        const owner = userOf(scope);
        const found = await this.em.find(Secret, { owner });
        playing.seen.push(owner, ...found.map((secret) => secret.owner), userOf(scope));
        return;
      }
      case 'write':
        await writeSecret(this.em, this.world, { id: this.world.newId(), owner: userOf(scope), topic: topics[0] });
        return;
      case 'group':
        return this.addGroup(`user-${move.isLate ? playing.user : userOf(scope)}`);
      case 'subscribe': {
        const done = this.subscribe(move.to === 'own' ? this.onOwn : this.onWhisper, { owner: userOf(scope) }, context);
        if (!move.isForgotten) await done;
        playing.subscriptions += 1;
        return;
      }
      case 'fail':
        throw new Foul('The action fails.');
    }
  }

  protected override async onConnect(): Promise<void> {
    await this.addGroup(`user-${userOf(this.scope)}`);
  }

  protected override async onUserChange(): Promise<void> {
    await this.addGroup(`user-${userOf(this.scope)}`);
  }

  @OnMessage('shout')
  protected async onShout({ owner, turns: count }: { type: 'shout'; owner: string; turns: number }): Promise<void> {
    this.sendJson({ shouted: owner });
    await turns(count);
  }

  @ModelObserver(() => Secret, { body: shown })
  async onOwn(event: ModelEvent<Secret, SecretColumns>, subscription: Subscription<{ owner: string }>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onOwn') protected *groupsOfOwner({ owner }: Secret | { owner: string }) {
    yield `own-${owner}`;
  }

  /** With a pause, so that events wait. */
  @ModelObserver(() => Secret, { body: shown })
  async onTopic(event: ModelEvent<Secret, SecretColumns>, subscription: Subscription<Topic>) {
    await nextTurn();
    await subscription.send(event);
  }
  @GroupsForBoth('onTopic') protected *groupsOfTopic({ topic }: Secret | Topic) {
    yield topic;
  }
  @RevokedBy('onTopic', () => Right) protected *topicOfRight({ name }: Right) {
    yield name;
  }

  @Observer(whispered)
  async onWhisper(event: SignalEvent<Whisper>, subscription: Subscription<{ owner: string }>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onWhisper') protected *groupsOfWhisper({ owner }: Whisper) {
    yield `own-${owner}`;
  }
  @GroupsForConsumer('onWhisper') protected *groupsOfListener({ owner }: { owner: string }) {
    yield `own-${owner}`;
  }
}

@Permissions(IsWelcome)
@Consumer()
class ClubConsumer extends DeskConsumer {}

class SecretSerializer extends ModelSerializer(Secret, {
  fields: ['id', 'owner', 'topic', 'at', 'readers', 'guests'],
  readOnly: ['id', 'owner', 'topic', 'at', 'readers', 'guests'],
}) {}

@Consumer()
class RowConsumer extends mix(
  ModelConsumer(Secret, { serializer: SecretSerializer }),
  List,
  Retrieve,
  ObserveInstance,
) {
  protected override getQuery({ scope }: ActionContext) {
    return { owner: userOf(scope) };
  }
}

/** The client says who it is. */
@injectable()
class StatedUser implements ScopeMiddleware {
  constructor(private readonly world: World) {}

  async apply(scope: Scope): Promise<void> {
    const client = scope.query.get('client');
    if (client !== null) this.world.handshakes.set(client, this.world.moment());
    await turns(15);
    const userId = scope.query.get('user') ?? nobody;
    if (userId === nobody) return;
    scope.identity = { userId };
    scope.user = { id: userId };
  }
}

@injectable()
class Users implements UserStore {
  constructor(private readonly em: EntityManager) {}

  async find(id: string) {
    // A store takes some time.
    await this.em.count(Right);
    return people.find((name) => name === id) === undefined ? undefined : { id };
  }
}

interface Writing {
  readonly id: number;
  readonly owner: string;
  readonly topic: string;
}

/** Writes a row inside of the transaction of `em`, with who has the rights to it when that commits. */
async function writeSecret(em: EntityManager, world: World, { id, owner, topic }: Writing): Promise<void> {
  const at = world.moment();
  world.noteRow(id, owner, topic);
  // Those who grant and revoke wait until this commits, and this for them.
  await em.getConnection().execute('select pg_advisory_xact_lock_shared(1)', [], 'run', em.getTransactionContext());
  const rights = await em.fork({ keepTransactionContext: true }).find(Right, { name: { $in: [topic, welcome] } });
  const holders = (name: string): string =>
    rights
      .filter((right) => right.name === name)
      .map(({ reader }) => reader)
      .join(' ');
  const columns = { owner, topic, at, readers: holders(topic), guests: holders(welcome) };
  const known = await em.findOne(Secret, id, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (known) em.assign(known, columns);
  else em.create(Secret, { id, ...columns });
  await em.flush();
}

/** How writers change rows and rights. */
export class Writer {
  constructor(
    private readonly orm: MikroORM,
    private readonly world: World,
  ) {}

  /** Deletes all rows, of which nobody is told. */
  async reset(): Promise<void> {
    await this.orm.em.execute('delete from secret');
    await this.orm.em.execute('delete from "right"');
  }

  write(writing: Writing): Promise<void> {
    return this.orm.em.fork().transactional((em) => writeSecret(em, this.world, writing));
  }

  remove(id: number): Promise<void> {
    return this.orm.em.fork().transactional(async (em) => {
      const secret = await em.findOne(Secret, id);
      if (secret) em.remove(secret);
    });
  }

  async grant(reader: string, name: string): Promise<void> {
    const committed = this.world.granting(reader, name);
    await this.orm.em.fork().transactional(async (em) => {
      await em.execute('select pg_advisory_xact_lock(1)');
      if ((await em.count(Right, { reader, name })) === 0) em.create(Right, { reader, name });
    });
    committed();
  }

  revoke(reader: string, name: string): Promise<void> {
    return this.orm.em.fork().transactional(async (em) => {
      await em.execute('select pg_advisory_xact_lock(1)');
      for (const right of await em.find(Right, { reader, name })) em.remove(right);
    });
  }

  whisper(owner: string, isCommitted: boolean): Promise<void> {
    const whisper = { owner, at: this.world.moment(), isCommitted };
    if (!isCommitted) return Promise.resolve(whispered.send(whisper));
    return this.orm.em.fork().transactional(async () => whispered.send(whisper));
  }
}

export const fuzzEntities = [Secret, Right];

/** For how many milliseconds an action may run: what waits longer is answered 504. */
const actionTimeLimit = 1_000;

/** Whether the log tells of a foul, of a promise that an action forgot and its request could not wait for, or of a hook on a busy machine. */
function isExpected({ message, fields: { error } }: LogEntry): boolean {
  if (message === 'A promise that the consumer does not await was rejected.') return true;
  return error instanceof Foul || (message === 'A hook failed.' && error instanceof TimeLimitExceeded);
}

/** A limit that is not reached. */
const many = 1_000_000_000;

/** One process, or what could be one: with its own ORM, connections and log reader. */
export class FuzzApplication {
  private constructor(
    readonly app: ReturnType<typeof serve>,
    readonly port: number,
    readonly orm: MikroORM,
    readonly logger: MemoryLogger,
    readonly writer: Writer,
    readonly connections: Connections,
    private readonly counters: MemoryCounters,
    private readonly layer: NotifyChannelLayer,
  ) {}

  static async start(clientUrl: string, world: World): Promise<FuzzApplication> {
    const orm = await MikroORM.init({
      clientUrl,
      entities: fuzzEntities,
      metadataProvider: ReflectMetadataProvider,
      pool: { min: 0, max: 20 },
    });
    const container = globalContainer.createChildContainer();
    const [logger, counters] = [new MemoryLogger(), new MemoryCounters()];
    container.registerInstance(Logger, logger);
    container.registerInstance(Counters, counters);
    container.registerInstance(World, world);
    const app = serve(orm, container);
    const { port } = await app.listen({ host: '127.0.0.1' });
    const layer = container.resolve<ChannelLayer>(ChannelLayer as never);
    if (!(layer instanceof NotifyChannelLayer)) throw new Error('The layer of several processes was expected.');
    const connections = container.resolve(Connections);
    return new FuzzApplication(app, port, orm, logger, new Writer(orm, world), connections, counters, layer);
  }

  /** What its connections have left behind, and what is wrong with it. */
  async remains(): Promise<readonly string[]> {
    const { isReady } = await this.app.readiness();
    const isLive = await this.app.liveness();
    const open = this.openConnections;
    return [
      ...(isReady ? [] : ['it is not ready']),
      ...(isLive ? [] : ['it is not live']),
      ...(open === 0 ? [] : [`${open} connections`]),
      ...(this.layer.groupCount === 0 ? [] : [`${this.layer.groupCount} groups`]),
    ];
  }

  get openConnections(): number {
    return this.counters.value('signalbox.connections') ?? 0;
  }

  /** The errors in its log that have no reason; the log is empty afterwards. */
  takeErrors(): readonly string[] {
    const errors = this.logger.at('error').filter((entry) => !isExpected(entry));
    const texts = errors.map(({ message, fields }) => `${message} ${describe(fields['error'])}`);
    this.logger.entries.length = 0;
    return texts;
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.orm.close(true);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function serve(orm: MikroORM, container: typeof globalContainer) {
  return createApp({
    orm,
    container,
    users: Users,
    middleware: [StatedUser],
    connections: [recheckOn(Right, { user: ({ reader }) => reader, when: ({ name }) => name === welcome })],
    routes: [
      path('/ws/', demultiplexer({ account: DeskConsumer, desk: DeskConsumer, club: ClubConsumer, rows: RowConsumer })),
    ],
    settings: {
      actionTimeLimit,
      detachedActionTimeLimit: actionTimeLimit,
      log: { actions: 'problems' },
      // So that others run between two members of a group.
      outbound: { groupSlice: 1 },
      limits: {
        messageBurst: many,
        messagesPerSecond: many,
        userMessageBurst: many,
        bytesPerSecond: many,
        errorsPerMinute: many,
        throttledPerMinute: many,
        addressHandshakeBurst: many,
        handshakesPerSecond: many,
        connectionsPerAddress: many,
        connectionsPerUser: 6,
      },
    },
  });
}
