import { createHash, randomBytes } from 'node:crypto';
import type { Rel } from '@mikro-orm/core';
import { EntityManager, type MikroORM } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Min } from 'class-validator';
import { type FastifyInstance, fastify } from 'fastify';
import {
  Action,
  ApiConsumer,
  type AppOptions,
  type Authentication,
  bearerToken,
  Clock,
  Consumer,
  cookieSession,
  createApp,
  type Identity,
  IsAuthenticated,
  identityUser,
  Permissions,
  path,
  queryTicket,
  type Route,
  router,
  type SessionStore,
  type StoredTicket,
  subprotocolToken,
  type TicketStore,
  Tickets,
  type UserStore,
} from 'signalbox';
import { jsonWebTokens } from 'signalbox/json-web-tokens';
import { injectable } from 'tsyringe';

const secret = randomBytes(32);
const issuer = 'https://accounts.example.org';

@Entity()
export class Account {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string', unique: true })
  name!: string;

  @Property({ type: 'boolean', default: true })
  active = true;
}

@Entity()
export class Session {
  @PrimaryKey({ type: 'string', length: 64 })
  id!: string;

  @ManyToOne(() => Account)
  account!: Rel<Account>;

  @Property({ type: 'datetime' })
  expiresAt!: Date;
}

@Entity()
export class Ticket {
  @PrimaryKey({ type: 'string', length: 64 })
  key!: string;

  @Property({ type: 'json' })
  identity!: { userId: string; sessionId?: string; expiresAt?: string };

  @Property({ type: 'string', nullable: true })
  origin?: string | null;

  @Property({ type: 'datetime' })
  endsAt!: Date;
}

@injectable()
export class Sessions implements SessionStore {
  constructor(private readonly em: EntityManager) {}

  async open(account: Account, expiresAt: Date): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    await this.em.insert(Session, { id: hashOf(token), account, expiresAt });
    return token;
  }

  async find(token: string): Promise<Authentication | undefined> {
    const known = { id: hashOf(token), account: { active: true } };
    const session = await this.em.findOne(Session, known, { populate: ['account'] });
    if (!session) return undefined;
    const { id, account, expiresAt } = session;
    return { userId: String(account.id), sessionId: id, expiresAt, user: account, session };
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

@injectable()
export class Accounts implements UserStore {
  constructor(private readonly em: EntityManager) {}

  find(userId: string) {
    return this.em.findOne(Account, { id: Number(userId), active: true });
  }
}

export const ApiTokens = jsonWebTokens({
  algorithms: ['HS256'],
  issuer,
  audience: 'chat',
  key: secret,
});

@injectable()
export class DatabaseTickets implements TicketStore {
  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {}

  async add(key: string, { identity, origin, endsAt }: StoredTicket) {
    const { expiresAt, ...rest } = identity;
    const stored = { ...rest, ...(expiresAt && { expiresAt: expiresAt.toJSON() }) };
    await this.em.nativeDelete(Ticket, { endsAt: { $lte: this.clock.now() } });
    await this.em.insert(Ticket, { key, identity: stored, origin: origin ?? null, endsAt });
  }

  async take(key: string): Promise<StoredTicket | undefined> {
    const live = { key, endsAt: { $gt: this.clock.now() } };
    const ticket = await this.em.findOne(Ticket, live, { disableIdentityMap: true });
    // The request that deletes it has taken it.
    if (!ticket || (await this.em.nativeDelete(Ticket, { key })) === 0) return undefined;
    const { identity, origin, endsAt } = ticket;
    const { expiresAt, ...rest } = identity;
    return {
      identity: { ...rest, ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }) },
      origin: origin ?? undefined,
      endsAt,
    };
  }
}

class RoomQuery {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  page = 1;

  @IsOptional()
  since?: string;
}

@Consumer()
@Permissions(IsAuthenticated)
export class RoomConsumer extends ApiConsumer {
  @Action()
  async describe() {
    const { room } = this.scope.paramsAs(':room(int)');
    const { page } = this.scope.queryAs(RoomQuery);
    return { room, page, userId: this.scope.identity?.userId ?? null };
  }
}

/** The options of the application, with the tickets in its database. */
export function open(orm: MikroORM, container: NonNullable<AppOptions<readonly Route[]>['container']>) {
  return createApp({
    orm,
    container,
    ticketStore: DatabaseTickets,
    routes: [
      path(
        '/ws/',
        router([path('rooms/:room(int)/', RoomConsumer, { query: RoomQuery })], {
          middleware: [cookieSession(Sessions), queryTicket(), identityUser(Accounts)],
        }),
      ),
      path('/api/rooms/:room(int)/', RoomConsumer, {
        query: RoomQuery,
        middleware: [bearerToken(ApiTokens), subprotocolToken(ApiTokens), identityUser(Accounts)],
      }),
    ],
  });
}

export function ticketRoute(
  server: FastifyInstance,
  tickets: Tickets,
  identityOf: (cookie: string) => Promise<Identity>,
) {
  server.post('/api/ticket', async ({ headers }, reply) => {
    const identity = await identityOf(headers.cookie ?? '');
    reply.header('cache-control', 'no-store');
    return tickets.issue(identity, headers.origin);
  });
}

export { fastify, issuer, secret };
