import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { type ArgumentsHost, Catch, Inject, Module, UseFilters, UsePipes, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import {
  BaseWsExceptionFilter,
  ConnectedSocket,
  MessageBody,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets';
import { Type } from 'class-transformer';
import {
  IsBoolean,
  IsDefined,
  IsEmail,
  IsInt,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import type { WebSocket } from 'ws';
import type { People } from './people.js';
import { peopleBySql } from './people-by-sql.js';
import { announce } from './serve.js';

class PatchData {
  @IsEmail() @MaxLength(254) email!: string;
  @IsInt() @Min(0) @Max(150) age!: number;
}

class CreateData extends PatchData {
  @IsString() @Length(1, 150) name!: string;
  @IsString() @MaxLength(150) city!: string;
  @IsBoolean() active!: boolean;
}

class PatchPerson {
  @IsInt() request_id!: number;
  @IsInt() pk!: number;
  @IsDefined() @ValidateNested() @Type(() => PatchData) data!: PatchData;
}

class CreatePerson {
  @IsInt() request_id!: number;
  @IsDefined() @ValidateNested() @Type(() => CreateData) data!: CreateData;
}

class DeletePerson {
  @IsInt() request_id!: number;
  @IsInt() pk!: number;
}

interface Request {
  readonly request_id: number;
  readonly pk: number;
  readonly limit: number;
  readonly offset: number;
  readonly data: unknown;
}

@Catch()
class Refusal extends BaseWsExceptionFilter {
  override catch(_: unknown, host: ArgumentsHost): void {
    const { request_id } = host.switchToWs().getData<Request>();
    const refused = { event: 'refused', data: { request_id, response_status: 400, data: null } };
    host.switchToWs().getClient<WebSocket>().send(JSON.stringify(refused));
  }
}

const validated = new ValidationPipe({ whitelist: true, transform: true });

@UseFilters(new Refusal())
@WebSocketGateway({ path: '/' })
class PeopleGateway implements OnGatewayDisconnect<WebSocket> {
  readonly #ofAll = new Set<WebSocket>();
  readonly #ofRow = new Map<number, Set<WebSocket>>();
  readonly #rows = new Map<WebSocket, number>();

  constructor(@Inject('people') private readonly people: People) {}

  @SubscribeMessage('echo')
  echo(@MessageBody() { request_id, data }: Request) {
    return replyTo('echo', request_id, data);
  }

  @SubscribeMessage('retrieve')
  async retrieve(@MessageBody() { request_id, pk }: Request) {
    return replyTo('retrieve', request_id, await this.people.retrieve(pk));
  }

  @SubscribeMessage('list')
  async list(@MessageBody() { request_id, limit, offset }: Request) {
    return replyTo('list', request_id, { results: await this.people.list(limit, offset), limit, offset });
  }

  @SubscribeMessage('list_counted')
  async listCounted(@MessageBody() { request_id, limit, offset }: Request) {
    const [count, results] = await Promise.all([this.people.count(), this.people.list(limit, offset)]);
    return replyTo('list_counted', request_id, { count, results, limit, offset });
  }

  @UsePipes(validated)
  @SubscribeMessage('patch')
  async patch(@MessageBody() { request_id, pk, data }: PatchPerson) {
    const person = await this.people.patch(pk, data);
    if (person) this.#publish(pk, person);
    return replyTo('patch', request_id, person, person ? 200 : 404);
  }

  @UsePipes(validated)
  @SubscribeMessage('create')
  async create(@MessageBody() { request_id, data }: CreatePerson) {
    return replyTo('create', request_id, await this.people.create(data), 201);
  }

  @UsePipes(validated)
  @SubscribeMessage('delete')
  async delete(@MessageBody() { request_id, pk }: DeletePerson) {
    return replyTo('delete', request_id, null, (await this.people.delete(pk)) ? 204 : 404);
  }

  @SubscribeMessage('subscribe')
  subscribe(@MessageBody() { request_id }: Request, @ConnectedSocket() socket: WebSocket) {
    this.#ofAll.add(socket);
    return replyTo('subscribe', request_id, null, 201);
  }

  @SubscribeMessage('subscribe_instance')
  subscribeInstance(@MessageBody() { request_id, pk }: Request, @ConnectedSocket() socket: WebSocket) {
    const followers = this.#ofRow.get(pk) ?? new Set();
    this.#ofRow.set(pk, followers.add(socket));
    this.#rows.set(socket, pk);
    return replyTo('subscribe_instance', request_id, null, 201);
  }

  handleDisconnect(socket: WebSocket): void {
    this.#ofAll.delete(socket);
    const row = this.#rows.get(socket);
    if (row !== undefined) this.#ofRow.get(row)?.delete(socket);
    this.#rows.delete(socket);
  }

  #publish(pk: number, data: object): void {
    const text = Buffer.from(JSON.stringify({ event: 'update', data }));
    for (const followers of [this.#ofAll, this.#ofRow.get(pk) ?? []])
      for (const socket of followers) socket.send(text, { binary: false });
  }
}

function replyTo(event: string, request_id: number, data: unknown, response_status = 200) {
  return { event, data: { request_id, response_status, data } };
}

@Module({ providers: [PeopleGateway, { provide: 'people', useFactory: peopleBySql }] })
class PeopleModule {}

const app = await NestFactory.create(PeopleModule, { logger: ['error'] });
app.useWebSocketAdapter(new WsAdapter(app));
await app.listen(0, '127.0.0.1');
announce((app.getHttpServer().address() as AddressInfo).port);
