import { EntityManager } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  createApp,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  path,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';

@Entity()
class Note {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  text!: string;
}

@injectable()
class NoteSerializer extends ModelSerializer(Note, { fields: ['id', 'text'] }) {}

@Consumer()
class Bench extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs;
  }

  @Action()
  async subscribe_notes(context: ActionContext) {
    await this.subscribe(this.onNote, {}, context);
  }

  @Action()
  createNote() {
    this.em.create(Note, { text: 'a note of some length, as people write them' });
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

const orm = await MikroORM.init({
  clientUrl: process.argv[2] ?? '',
  entities: [Note],
  metadataProvider: ReflectMetadataProvider,
});
await orm.schema.create();
// One address connects and asks as no client may.
const many = 2_147_483_647;
const limits = {
  messagesPerSecond: many,
  messageBurst: many,
  bytesPerSecond: many,
  connectionsPerAddress: many,
  addressHandshakeBurst: many,
  handshakesPerSecond: many,
};
const app = createApp({
  orm,
  routes: [path('/', Bench)],
  settings: { development: false, log: { actions: false }, limits },
});
const { port } = await app.listen();
process.send?.({ port });
