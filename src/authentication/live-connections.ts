import { randomUUID } from 'node:crypto';
import { type ChannelLayer, reservedPrefix } from '../channel-layer/channel-layer.js';
import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { type ApiError, HandshakeTimedOut, NotAuthenticated, PermissionDenied, SessionExpired } from '../errors.js';
import type { Logger } from '../logger.js';
import { outside } from '../outside.js';
import type { Identity } from '../scope/identity.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeUser } from '../scope/scope-types.js';
import type { Settings } from '../settings.js';
import { CloseCode } from '../status.js';
import { isOver } from './authentication.js';
import { Expiry } from './expiry.js';
import type { LiveConnection } from './live-connection.js';
import { concerns, fromMessage, type Order, toMessage } from './orders.js';
import { RecentOrders } from './recent-orders.js';

/** Every process has one channel in this group. */
const group = `${reservedPrefix}orders`;

export interface LiveConnectionParts {
  readonly layer: ChannelLayer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly settings: Pick<Settings, 'ticketLifetime'>;
  /** A user as the database has it now; undefined where there is none any more. Absent where the application cannot tell. */
  readonly findUser?: ((userId: string) => Promise<ScopeUser | null | undefined>) | undefined;
}

/** A handshake that is under way, and the orders that came meanwhile: what it has read may be out of date. */
export class PendingHandshake {
  readonly orders: Order[] = [];
}

/** Everybody who is connected to this process, or about to be. Does what is ordered in any process. */
export class LiveConnections {
  readonly #parts: LiveConnectionParts;
  readonly #connections = new Map<Scope, LiveConnection>();
  readonly #pending = new Set<PendingHandshake>();
  readonly #expiry: Expiry;
  readonly #recent: RecentOrders;
  /** The latest check of each connection that was answered: what an earlier one learns later is out of date. */
  readonly #answered = new WeakMap<LiveConnection, number>();
  #checks = 0;
  /** Tells this process from the others. */
  readonly #source = randomUUID();
  #joined: Promise<void> | undefined;

  constructor(parts: LiveConnectionParts) {
    this.#parts = parts;
    this.#expiry = new Expiry(parts.clock, (now) => this.#expire(now));
    this.#recent = new RecentOrders(parts.clock, parts.settings.ticketLifetime);
  }

  /** Hears orders from now on. Done once, unless it fails. */
  join(): Promise<void> {
    this.#joined ??= this.#join().catch((error) => {
      this.#joined = undefined;
      throw error;
    });
    return this.#joined;
  }

  leave(): void {
    this.#expiry.stop();
  }

  /** Notes a handshake from before its first question. To be ended, whatever becomes of it. */
  begin(): PendingHandshake {
    const pending = new PendingHandshake();
    this.#pending.add(pending);
    return pending;
  }

  ended(pending: PendingHandshake): void {
    this.#pending.delete(pending);
  }

  /** @throws ApiError where its time is up, or it was to be disconnected, while the handshake was under way */
  check({ orders }: PendingHandshake, { identity }: Scope): void {
    if (identity && isOver(identity, this.#parts.clock.now())) throw new SessionExpired();
    checkOrders(orders, identity);
  }

  /** Whether this user or session was disconnected since: within `ticketLifetime`, longer is not remembered. */
  wasDisconnectedSince(moment: Date, identity: Identity): boolean {
    return this.#recent.concernSince(moment, identity);
  }

  add(connection: LiveConnection, pending: PendingHandshake): void {
    const { scope } = connection;
    this.#connections.set(scope, connection);
    this.#watch(scope.identity);
    this.#obeyMissed(connection, pending.orders);
  }

  remove({ scope }: LiveConnection): void {
    this.#connections.delete(scope);
  }

  /** None before the handshake is granted, and after the end. */
  find(scope: Scope): LiveConnection | undefined {
    return this.#connections.get(scope);
  }

  /**
   * Asks the permissions to connect again, outside of the request that is the reason.
   *
   * @param missed orders that came while the connection was somebody else's
   */
  askAgain(connection: LiveConnection, missed: readonly Order[]): void {
    outside(() => {
      void connection.recheck();
      this.#obeyMissed(connection, missed);
    });
  }

  /** Gives a connection another identity. */
  identify(scope: Scope, identity: Identity | undefined): void {
    scope.identity = identity;
    this.#watch(identity);
  }

  /** Whether users can be loaded anew. */
  get canRecheck(): boolean {
    return this.#parts.findUser !== undefined;
  }

  /** Resolves once the order is on its way to every process; in this one it is obeyed already. */
  async give(order: Order): Promise<void> {
    outside(() => this.#obey(order));
    await this.#parts.layer.sendToGroup(group, toMessage(order, this.#source));
  }

  /** A timer would keep the request that set it, and its transaction, for what it calls. */
  #watch(identity: Identity | undefined): void {
    outside(() => this.#expiry.watch(identity));
  }

  async #join(): Promise<void> {
    const { layer } = this.#parts;
    const channel = `${group}:${this.#source}`;
    await layer.connect(channel, (message) => {
      const order = fromMessage(message, this.#source);
      if (order) outside(() => this.#obey(order));
    });
    await layer.add(group, channel);
  }

  /** What is ordered twice is done once, or does no harm twice. */
  #obey(order: Order): void {
    this.#recent.note(order);
    for (const pending of this.#pending) pending.orders.push(order);
    for (const connection of [...this.#connections.values()]) {
      connection.note(order);
      this.#obeyFor(connection, order);
    }
  }

  #obeyMissed(connection: LiveConnection, orders: readonly Order[]): void {
    for (const order of orders) this.#obeyFor(connection, order);
  }

  #obeyFor(connection: LiveConnection, order: Order): void {
    if (!concerns(order, connection.scope.identity)) return;
    if (order.kind === 'disconnect') void connection.end(refusalOf(order), order.code);
    else void this.#recheck(connection);
  }

  async #recheck(connection: LiveConnection): Promise<void> {
    const { findUser } = this.#parts;
    const { scope } = connection;
    const { identity } = scope;
    if (!identity || !findUser) return;
    const check = ++this.#checks;
    const isOutdated = (): boolean =>
      scope.identity?.userId !== identity.userId || (this.#answered.get(connection) ?? 0) > check;
    try {
      const user = await findUser(identity.userId);
      if (isOutdated()) return;
      this.#answered.set(connection, check);
      if (user === undefined || user === null) {
        await connection.end(new NotAuthenticated('You were logged out.'), CloseCode.unauthenticated);
        return;
      }
      scope.user = user;
      await connection.recheck();
    } catch (error) {
      if (!isOutdated()) await this.#endUnchecked(connection, error);
    }
  }

  /** Whoever cannot be asked is let go: they may come again, and are asked then. */
  async #endUnchecked(connection: LiveConnection, error: unknown): Promise<void> {
    const { logger, counters } = this.#parts;
    counters.increment('signalbox.unchecked_connections', { asked: 'user' });
    logger.error('A connection could not be checked again.', { path: connection.scope.path, error });
    const reason =
      error instanceof HandshakeTimedOut ? error : new NotAuthenticated('Your rights could not be checked.');
    await connection.end(reason, CloseCode.serverError);
  }

  *#expire(now: Date): Iterable<Identity | undefined> {
    for (const connection of [...this.#connections.values()]) {
      const { identity } = connection.scope;
      if (identity && isOver(identity, now)) void connection.end(new SessionExpired(), CloseCode.unauthenticated);
      yield identity;
    }
  }
}

/** @throws what refuses somebody whom one of these orders disconnects */
export function checkOrders(orders: readonly Order[], identity: Identity | undefined): void {
  for (const order of orders) if (order.kind === 'disconnect' && concerns(order, identity)) throw refusalOf(order);
}

function refusalOf({ code, reason }: Order & { readonly kind: 'disconnect' }): ApiError {
  return code === CloseCode.forbidden ? new PermissionDenied(reason) : new NotAuthenticated(reason);
}
