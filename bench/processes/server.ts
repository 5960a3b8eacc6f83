import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  createApp,
  type GivenSettings,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  path,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { serveCommands } from '../../spec/support/programs.js';
import { now } from '../bars/moment.js';

@Entity()
class Note {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'integer' })
  number!: number;

  @Property({ type: 'string' })
  text!: string;
}

@injectable()
class NoteSerializer extends ModelSerializer(Note, { fields: ['id', 'number', 'text'] }) {}

@Consumer()
class Notes extends ApiConsumer {
  @Action()
  async follow(context: ActionContext) {
    await this.subscribe(this.onNote, {}, context);
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

export interface ServerOptions {
  readonly url: string;
  readonly settings?: GivenSettings;
}

/** When a commit was begun, and when the writer knew of it. */
export interface Commit {
  readonly began: number;
  readonly acknowledged: number;
}

const { url, settings = {} }: ServerOptions = JSON.parse(process.argv[2] ?? '{}');
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [Note],
  metadataProvider: ReflectMetadataProvider,
  schemaGenerator: { ignoreSchema: ['signalbox'] },
});
await orm.schema.update();
const many = 2_147_483_647;
const app = createApp({
  orm,
  routes: [path('/', Notes)],
  settings: {
    development: false,
    log: { actions: false },
    limits: { connectionsPerAddress: many, addressHandshakeBurst: many, handshakesPerSecond: many },
    ...settings,
  },
});

async function commit(number: number): Promise<Commit> {
  const em = orm.em.fork();
  em.create(Note, { number, text: 'a note of some length, as people write them' });
  const began = now();
  await em.flush();
  return { began, acknowledged: now() };
}

const commands = {
  /** Numbers its commits from 0. One that takes long does not hold up the next. */
  async write(count: number, perSecond: number): Promise<readonly Commit[]> {
    const start = performance.now();
    const commits: Promise<Commit>[] = [];
    for (let number = 0; number < count; number += 1) {
      await pause(Math.max(0, start + (number * 1_000) / perSecond - performance.now()));
      commits.push(commit(number));
    }
    return Promise.all(commits);
  },
  /** Microseconds of this process. */
  cpu(): number {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
};

export type ServerCommands = typeof commands;

const { port } = await app.listen({ host: '127.0.0.1' });
serveCommands(commands, { port });
