import { Expose } from 'class-transformer';
import { IsInt, IsOptional, IsString, Length } from 'class-validator';
import {
  Action,
  type ActionContext,
  type ActionReply,
  ApiConsumer,
  Consumer,
  type ConsumerApi,
  DetailAction,
  ModelConsumer,
  ModelSerializer,
  reply,
  type ViewOf,
} from 'signalbox';
import { injectable } from 'tsyringe';
import { z } from 'zod';
import { Message, Room, RoomSerializer, User, UserSerializer } from './entities.js';
import { same, some } from './support.js';

class AddNote {
  @IsInt() room!: number;
  @IsString() @Length(1, 500) text!: string;
  @IsOptional() @IsString() title?: string;
}

class NoteView {
  @Expose() id!: number;
  @Expose() text!: string;
  @Expose() at!: Date;
}

@injectable()
class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'sentAt', 'room'] }) {}

const Search = z.object({ q: z.string(), limit: z.number().default(10) });

// Kwargs and context

@Consumer()
class Notes extends ApiConsumer {
  @Action({ status: 201 }) async add({ room, text }: AddNote, { scope }: ActionContext) {
    return { id: room, text, by: scope.path };
  }
  @Action() nothing() {}
  @Action() onlyContext(context: ActionContext) {
    return context.action;
  }
  @Action() onlyKwargs({ room }: AddNote) {
    return room;
  }
  @Action({ kwargs: AddNote, strict: true }) byClass(kwargs: { room: number; text: string }) {
    return kwargs;
  }
  @Action({ kwargs: Search }) async bySchema({ q, limit }: z.infer<typeof Search>) {
    return q.slice(0, limit);
  }

  // @ts-expect-error the second parameter is the context
  @Action() secondIsNoContext(kwargs: AddNote, retries: number) {
    return { kwargs, retries };
  }
  // @ts-expect-error nobody passes a third
  @Action() three(kwargs: AddNote, context: ActionContext, more: string) {
    return { kwargs, context, more };
  }
  // @ts-expect-error the class's text is a string
  @Action({ kwargs: AddNote }) notOfClass(kwargs: { room: number; text: number }) {
    return kwargs;
  }
  // @ts-expect-error the schema's limit is a number
  @Action({ kwargs: Search }) notOfSchema(kwargs: { q: string; limit: string }) {
    return kwargs;
  }
  // @ts-expect-error neither a class nor a schema
  @Action({ kwargs: { room: 'number' } }) noSchema(kwargs: AddNote) {
    return kwargs;
  }
  // @ts-expect-error misspelt option
  @Action({ stauts: 201 }) misspelt() {}
  // @ts-expect-error a status is a number
  @Action({ status: '201' }) wrongStatus() {}
  // @ts-expect-error a property is no action
  @Action() property = 1;
}
some<Notes>().nothing();

// A declared reply

@Consumer()
class Replying extends ApiConsumer {
  @Action({ reply: NoteView }) sync() {
    return some<NoteView>();
  }
  @Action({ reply: NoteView }) async promise() {
    return { id: 1, text: 'hi', at: new Date(), by: 'dropped at run time' };
  }
  @Action({ reply: NoteView }) list() {
    return [some<NoteView>()];
  }
  @Action({ reply: NoteView }) withStatus() {
    return reply(some<NoteView>(), { status: 202 });
  }
  @Action({ reply: NoteView }) async listWithStatus() {
    return reply([some<NoteView>()], { status: 202 });
  }
  @Action({ reply: NoteView }) *parts() {
    yield some<NoteView>();
  }
  @Action({ reply: NoteView }) async *asyncParts() {
    yield some<NoteView>();
    return 'the last word is free';
  }
  @Action({ reply: MessageSerializer }) bySerializer() {
    return { id: 1, sentAt: new Date(), room: 4 };
  }
  @Action({ reply: MessageSerializer }) byReply(context: ActionContext) {
    return reply(some<Message>(), { serializer: MessageSerializer, status: context.action ? 200 : 201 });
  }

  // @ts-expect-error `at` is missing
  @Action({ reply: NoteView }) wrongSync() {
    return { id: 1, text: 'hi' };
  }
  // @ts-expect-error `at` is missing
  @Action({ reply: NoteView }) async wrongPromise() {
    return { id: 1, text: 'hi' };
  }
  // @ts-expect-error `at` is missing
  @Action({ reply: NoteView }) wrongList() {
    return [{ id: 1, text: 'hi' }];
  }
  // @ts-expect-error `at` is missing
  @Action({ reply: NoteView }) wrongWithStatus() {
    return reply({ id: 1, text: 'hi' }, { status: 202 });
  }
  // @ts-expect-error `at` is missing from the parts
  @Action({ reply: NoteView }) *wrongParts() {
    yield { id: 1, text: 'hi' };
  }
  // @ts-expect-error `at` is missing from the parts
  @Action({ reply: NoteView }) async *wrongAsyncParts() {
    yield { id: 1, text: 'hi' };
  }
  // @ts-expect-error nothing is no view
  @Action({ reply: NoteView }) wrongNothing() {}
  // @ts-expect-error the room is shown by key
  @Action({ reply: MessageSerializer }) wrongBySerializer() {
    return { id: 1, sentAt: new Date(), room: 'red' };
  }
  // @ts-expect-error its client would be told of a room that is only shown by key: reply(message, { serializer })
  @Action({ reply: MessageSerializer }) wrongEntity() {
    return some<Message>();
  }
  // @ts-expect-error the view of another serializer
  @Action({ reply: MessageSerializer }) wrongReply() {
    return reply(some<User>(), { serializer: UserSerializer });
  }
}
some<Replying>().sync();

same<ReturnType<Replying['byReply']>, ActionReply<ViewOf<MessageSerializer>>>();
const several = reply([some<Message>()], { serializer: MessageSerializer });
same<typeof several, ActionReply<ViewOf<MessageSerializer>[]>>();
const queued = reply({ queued: true }, { status: 202 });
same<typeof queued, ActionReply<{ queued: boolean }>>();
// @ts-expect-error one message is one view
same<ReturnType<Replying['byReply']>, ActionReply<ViewOf<MessageSerializer>[]>>();
// @ts-expect-error a user is no message
reply(some<User>(), { serializer: MessageSerializer });
// @ts-expect-error users are no messages
reply([some<User>()], { serializer: MessageSerializer });
// @ts-expect-error a class that is no serializer
reply(some<User>(), { serializer: NoteView });
// @ts-expect-error a reply without a status and a serializer is just its data
reply({ queued: true }, {});

// Actions on one object

@Consumer()
class Rooms extends ModelConsumer(Room, { serializer: RoomSerializer }) {
  @DetailAction() archive(room: Room) {
    room.archived = true;
    return room;
  }
  @DetailAction() async rename(room: Room, { text }: AddNote, _context: ActionContext) {
    room.name = text;
    return room;
  }
  @DetailAction({ kwargs: Search }) async search(room: Room, { limit }: z.infer<typeof Search>) {
    return { room: room.id, limit };
  }
  @DetailAction({ reply: NoteView }) note(_room: Room, _context: ActionContext) {
    return some<NoteView>();
  }

  // @ts-expect-error the consumer's model is Room
  @DetailAction() ofAnotherModel(message: Message) {
    return message.text;
  }
  // @ts-expect-error the object comes first
  @DetailAction() contextFirst(context: ActionContext, _room: Room) {
    return context.action;
  }
  // @ts-expect-error the context comes last
  @DetailAction() noContext(room: Room, kwargs: AddNote, retries: number) {
    return { room, kwargs, retries };
  }
  // @ts-expect-error the schema's limit is a number
  @DetailAction({ kwargs: Search }) notOfSchema(room: Room, kwargs: { q: string; limit: string }) {
    return { room, kwargs };
  }
  // @ts-expect-error `at` is missing
  @DetailAction({ reply: NoteView }) wrongReply(room: Room) {
    return { id: room.id, text: 'hi' };
  }
}

@Consumer()
class Modelless extends ApiConsumer {
  // @ts-expect-error the consumer has no model to look up
  @DetailAction() archive(room: Room) {
    return room;
  }
}
some<Modelless>();

// What a client sees of them

type NotesApi = ConsumerApi<Notes>['actions'];
same<NotesApi['add']['kwargs'], { room: number; text: string; title?: string }>();
same<NotesApi['add']['reply'], { id: number; text: string; by: string }>();
same<NotesApi['nothing']['kwargs'], NotesApi['onlyContext']['kwargs']>();
same<NotesApi['nothing']['reply'], null>();
({}) satisfies NotesApi['nothing']['kwargs'];
same<NotesApi['bySchema']['kwargs'], { q: string; limit: number }>();
// @ts-expect-error text is required
({ room: 1 }) satisfies NotesApi['add']['kwargs'];
// @ts-expect-error a string is no number
({ room: '1', text: 'hi' }) satisfies NotesApi['add']['kwargs'];

type RepliesApi = ConsumerApi<Replying>['actions'];
type NoteJson = { id: number; text: string; at: string };
same<RepliesApi['sync']['reply'], NoteJson>();
same<RepliesApi['list']['reply'], NoteJson[]>();
same<RepliesApi['listWithStatus']['reply'], NoteJson[]>();
same<RepliesApi['sync']['part'], never>();
same<RepliesApi['parts']['part'], NoteJson>();
same<RepliesApi['parts']['reply'], null>();
same<RepliesApi['asyncParts']['part'], NoteJson>();
same<RepliesApi['asyncParts']['reply'], string>();
same<RepliesApi['byReply']['reply'], { id: number; sentAt: string; room: number }>();
// @ts-expect-error a Date does not survive JSON
same<RepliesApi['sync']['reply'], NoteView>();
// @ts-expect-error what it yields are parts, not the reply
same<RepliesApi['parts']['reply'], NoteJson>();

type RoomsApi = ConsumerApi<Rooms>['actions'];
same<RoomsApi['archive']['kwargs'], { pk: number }>();
same<RoomsApi['archive']['reply'], { id: number; name: string }>();
same<RoomsApi['rename']['kwargs'], { pk: number; room: number; text: string; title?: string }>();
same<RoomsApi['search']['kwargs'], { pk: number; q: string; limit: number }>();
same<RoomsApi['search']['reply'], { room: number; limit: number }>();
// @ts-expect-error the object is named by its key
same<RoomsApi['archive']['kwargs'], Room>();
// @ts-expect-error the model is shown by the consumer's serializer
same<RoomsApi['archive']['reply'], Room>();
