import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import {
  ActionContext,
  ApiConsumer,
  DetailAction,
  GroupsForBoth,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  Retrieve,
  type Subscription,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { RoomKey } from './rooms.js';

/** A reader with a seat in a room may follow the notes of that room, in specs that say so. */
@Entity()
export class Seat {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'integer' })
  room!: number;

  @Property({ type: 'string', default: '' })
  name: Opt<string> = '';
}

@Entity()
export class Note {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'integer' })
  room!: number;

  @Property({ type: 'text' })
  text!: string;
}

@injectable()
export class SeatSerializer extends ModelSerializer(Seat, { fields: ['id', 'room'] }) {}

@injectable()
export class NoteSerializer extends ModelSerializer(Note, { fields: ['id', 'text'] }) {}

/** The notes of each room. */
export abstract class NoteObserver extends ApiConsumer {
  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onNote')
  protected *groupsOfRoom({ room }: Note | RoomKey) {
    yield `room-${room}`;
  }
}

/** The notes of the room of a seat, to a client that the seat is shown to. */
export abstract class SeatObserver extends mix(ModelConsumer(Seat, { serializer: SeatSerializer }), Retrieve) {
  @DetailAction({ status: 201 })
  async follow({ room }: Seat, context: ActionContext) {
    await this.subscribe(this.onNote, { room }, context);
  }

  @ModelObserver(() => Note, { serializer: NoteSerializer })
  async onNote(event: ModelEvent<NoteSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForBoth('onNote')
  protected *groupsOfRoom({ room }: Note | RoomKey) {
    yield `room-${room}`;
  }
}
