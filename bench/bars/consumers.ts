import { setTimeout as delay } from 'node:timers/promises';
import { EntityManager } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { IsInt, IsString, Max, Min } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  Consumer,
  GroupsForBoth,
  IsAuthenticated,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  Observer,
  Permissions,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { now } from './moment.js';

@Entity()
export class Note {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'integer' })
  topic!: number;

  /** Of its topic. */
  @Property({ type: 'integer' })
  number!: number;

  @Property({ type: 'double' })
  at!: number;

  @Property({ type: 'text' })
  text!: string;
}

@injectable()
class NoteSerializer extends ModelSerializer(Note, { fields: ['id', 'topic', 'number', 'at', 'text'] }) {}

class Topic {
  @IsInt() topic!: number;
}

class Publication extends Topic {
  /** Of the first event. */
  @IsInt() number!: number;
  /** At once, in one commit. */
  @IsInt() @Min(0) @Max(1_000) events!: number;
  @IsString() text!: string;
}

class Wait {
  @IsInt() @Min(0) @Max(1_000) milliseconds!: number;
}

/** What the works ask for beside events. */
abstract class BarConsumer extends ApiConsumer {
  @Action()
  async echo({ kwargs }: ActionContext) {
    return kwargs;
  }

  @Action({ detached: true })
  async wait({ milliseconds }: Wait) {
    await delay(milliseconds);
  }
}

/** The main use: rows, a serializer, groups, and an observer method of the application. */
@Consumer()
export class ModelBars extends BarConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async subscribe_topic({ topic }: Topic, context: ActionContext) {
    await this.subscribe(this.onNote, { topic }, context);
  }

  @Action()
  publish({ topic, number, events, text }: Publication) {
    for (let each = 0; each < events; each += 1)
      this.em.create(Note, { topic, number: number + each, at: now(), text });
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription<Topic>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onNote')
  protected *groupsOfTopic({ topic }: Topic) {
    yield `topic-${topic}`;
  }
}

interface Rang {
  topic: number;
  number: number;
  at: number;
  text: string;
}

const rang = new Signal<Rang>();

/** The same without a row. */
@Consumer()
export class SignalBars extends BarConsumer {
  @Action({ status: 201 })
  async subscribe_topic({ topic }: Topic, context: ActionContext) {
    await this.subscribe(this.onRang, { topic }, context);
  }

  @Action()
  publish({ topic, number, events, text }: Publication) {
    for (let each = 0; each < events; each += 1) rang.send({ topic, number: number + each, at: now(), text });
  }

  @Observer(rang)
  async onRang(event: SignalEvent<Rang>, subscription: Subscription<Topic>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onRang')
  protected *groupsOfTopic({ topic }: Topic) {
    yield `topic-${topic}`;
  }
}

/** For those only whose token is known. */
@Consumer()
@Permissions(IsAuthenticated)
export class UserBars extends SignalBars {}
