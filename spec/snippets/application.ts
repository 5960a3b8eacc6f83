/**
 * What the pages of docs/ assume: the chat of their examples, and a few names that a reader would have. Compiled with the snippets, and
 * never run.
 */
import type { MikroORM, Opt, Rel } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { IsInt, Length } from 'class-validator';
import type { ReactNode } from 'react';
import {
  Action,
  ActionContext,
  type App,
  type AppApi,
  Consumer,
  Create,
  createApp,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  path,
  Retrieve,
  reply,
  Signal,
  type Subscription,
  Update,
} from 'signalbox';
import { type Client, createClient, type LiveSnapshot } from 'signalbox/client';
import type { DependencyContainer } from 'tsyringe';

@Entity()
export class User {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

declare module 'signalbox' {
  interface ScopeTypes {
    user: User;
  }
}

@Entity()
export class Room {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'string' }) topic: Opt<string> = '';
  @Property({ type: 'boolean' }) archived: Opt<boolean> = false;
  @ManyToOne(() => User, { nullable: true }) host?: Rel<User> | null;
  @ManyToOne(() => User, { nullable: true }) editor?: Rel<User> | null;
}

@Entity()
export class Message {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Room) room!: Rel<Room>;
  @Property({ type: 'string' }) text!: string;
  @Property({ type: 'datetime' }) sentAt!: Opt<Date>;
}

@Entity()
export class Membership {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => Room) room!: Rel<Room>;
  @ManyToOne(() => User) user!: Rel<User>;
}

@Entity()
export class Officer {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToOne(() => User) user!: Rel<User>;
}

@Entity()
export class Employee {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'integer' }) salary!: number;
}

@Entity()
export class Thing {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'integer' }) shelf!: number;
}

@Entity()
export class Attachment {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'integer' }) size: Opt<number> = 0;
}

export class AttachmentSerializer extends ModelSerializer(Attachment, {
  fields: ['id', 'name', 'size'],
  readOnly: ['id', 'size'],
}) {}

export declare class Bucket {
  urlToWrite(key: string): Promise<string>;
  sizeOf(key: string): Promise<number>;
}

export class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name', 'archived'] }) {}
export class MessageSerializer extends ModelSerializer(Message, { fields: ['id', 'text', 'room', 'sentAt'] }) {}

export class RoomKey {
  @IsInt() room!: number;
}

export class CreateMessage extends RoomKey {
  @Length(1, 500) text!: string;
}

@Consumer()
export class RoomConsumer extends mix(
  ModelConsumer(Room, { serializer: RoomSerializer }),
  List,
  Retrieve,
  Create,
  Update,
  ObserveInstance,
) {
  override readonly requestIds = { lobby: 'onMessage' } as const;

  @Action({ status: 201, atomic: true })
  async createMessage({ room, text }: CreateMessage) {
    const message = this.unitOfWork.em.create(Message, { room, text });
    return reply(message, { serializer: MessageSerializer });
  }

  @Action()
  async listMessages({ room }: RoomKey): Promise<{ id: number; text: string; room: number; sentAt: string }[]> {
    throw new Error(String(room));
  }

  @Action({ detached: true })
  async *export(_kwargs: RoomKey, _context: ActionContext): AsyncGenerator<{ line: string }, { finishedAt: string }> {
    yield { line: '' };
    return { finishedAt: '' };
  }

  @Action({ status: 201 })
  async subscribeToRoom({ room }: RoomKey, context: ActionContext) {
    await this.subscribe(this.onMessage, { room }, context);
  }

  @ModelObserver(() => Message, { serializer: MessageSerializer })
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onMessage')
  protected *groupsOfMessage(message: Message) {
    yield `room-${message.room.id}`;
  }

  @GroupsForConsumer('onMessage')
  protected *groupsOfRoom({ room }: RoomKey) {
    yield `room-${room}`;
  }
}

/** What a block of members stands in. */
export abstract class Fragment extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Create, Update) {
  protected readonly prices!: { stream(options: { signal: AbortSignal }): AsyncIterable<number> };
  async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) {
    await subscription.send(event);
  }
}

export declare const orm: MikroORM & { readonly schema: { getUpdateSchemaSQL(options: object): Promise<string> } };
export declare const container: DependencyContainer;
export const routes = [path('/ws/', demultiplexer({ rooms: RoomConsumer }))] as const;
export const app = createApp({ orm, routes });
export type Api = AppApi<typeof app>;
export const client: Client<Api> = createClient<Api>('wss://example.org/ws/');

export interface Joined {
  readonly room: number;
  readonly user: string;
}
export const joined = new Signal<Joined>();

export declare class CardDeclined extends Error {}
export declare const connections: Pick<App, 'disconnectUser'>;
export declare const user: User;
export declare const session: { readonly id: string };
export declare const token: string;
export declare const room: number;
export declare function fetchToken(): Promise<string>;
export declare function ticket(): Promise<string>;
export declare function forget(pk: unknown): void;
export declare function show(row: object): void;
export declare function notify(text: string): void;
export declare function refetch(): void;
export declare function render(snapshot: LiveSnapshot<object>): void;
export declare function showLogin(): void;
export declare function handle(request: unknown, response: unknown): void;
export declare const handler: () => void;
export declare function isOfOurTeam(cookie: string | string[] | undefined): boolean;
export declare function createApplication(orm: MikroORM): App;
export declare function createOrm(settings: object): Promise<MikroORM>;
export declare function readSettings(env: object): object;
export declare function Spinner(): ReactNode;
export declare function Failure(properties: { error: unknown; onRetry: () => void }): ReactNode;
export declare function Banner(properties: { children: ReactNode }): ReactNode;

export declare class IsMember {
  hasPermission(context: ActionContext): Promise<boolean>;
}
