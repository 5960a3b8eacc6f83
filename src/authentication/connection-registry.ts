import { runDetached } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import { type ApiError, HandshakeTimedOut, NotAuthenticated, PermissionDenied, SessionExpired } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeUser } from '../scope/scope-types.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';
import { isOver } from './authentication.js';

/** Whose connections are meant. */
export type ConnectionOwner = { readonly user: string } | { readonly session: string };

/** What is to become of the connections of a user or a session, in every process. */
export type ConnectionCommand =
  | { readonly kind: 'disconnect'; readonly owner: ConnectionOwner; readonly reason: string; readonly code: number }
  | { readonly kind: 'recheck'; readonly owner: ConnectionOwner };

export function concerns({ owner }: ConnectionCommand, identity: Identity | undefined): boolean {
  if (!identity) return false;
  return 'user' in owner ? String(identity.userId) === owner.user : identity.sessionId === owner.session;
}

/** @throws what refuses a user or session that one of these commands disconnects */
export function checkCommands(commands: readonly ConnectionCommand[], identity: Identity | undefined): void {
  for (const command of commands)
    if (command.kind === 'disconnect' && concerns(command, identity)) throw refusalOf(command);
}

export function refusalOf({ code, reason }: ConnectionCommand & { readonly kind: 'disconnect' }): ApiError {
  return code === CloseCode.forbidden ? new PermissionDenied(reason) : new NotAuthenticated(reason);
}

/** The place that a connection takes among those of its user. */
export interface UserSlot {
  /** @throws Throttled where this user has as many connections as it may have; nothing has changed then */
  takeFor(user: string | undefined): void;
  /** Counts the connection for the user it had before, whether or not that user is at the limit by now. */
  returnTo(user: string | undefined): void;
}

/** A connection that was admitted, as far as it matters whose it is. */
export interface RegisteredConnection {
  readonly scope: Scope;
  readonly slot: UserSlot;
  /** Answers what waits and runs with the reason, then closes with the code. Only the first call counts. Never rejects. */
  end(reason: ApiError, code: number): Promise<void>;
  /** Ends the subscriptions and groups of the former user; the client is sent an error for each subscription. Never rejects. */
  switchUser(): Promise<void>;
  /** Asks the permissions to connect again: closes where all streams refuse, else refuses single ones. Never rejects. */
  recheck(): Promise<void>;
  /** Events that come from now on wait for this, which never rejects. */
  holdEvents(until: Promise<void>): void;
  /** Keeps a command for the requests under way: what they have read may be out of date by it. */
  note(command: ConnectionCommand): void;
  /** The commands since the request under way began, those that are still to come too; none outside of any. */
  commandsMeanwhile(): readonly ConnectionCommand[];
  /** Calls back once the request under way is answered; at once outside of any. */
  afterRequest(work: (hasSucceeded: boolean) => void): void;
  /** @throws what ended the request whose code this is: it changes nothing any more */
  requireRequest(): void;
  /** The request under way waits for the promise before its reply, and fails with it unless it is awaited. */
  own<T>(work: Promise<T>): Promise<T>;
}

/** A handshake that is under way. */
export interface PendingHandshake {
  /** Those that came meanwhile: what the handshake has read may be out of date. */
  readonly commands: ConnectionCommand[];
  /** Whose the connection will be, once `check` has found it good. */
  identity: Identity | undefined;
}

/** The longest time in milliseconds until it is noticed that the clock was put forward. */
const longestWait = 10_000;

/** Every connection of this process, and every handshake that is under way. Obeys the commands of all processes. */
export class ConnectionRegistry<Connection extends RegisteredConnection = RegisteredConnection> {
  readonly connections = new Map<Scope, Connection>();
  readonly #pending = new Set<PendingHandshake>();
  /** Disconnects of the last `ticketLifetime`: a ticket issued before proves nothing any more. */
  #recent: { readonly command: ConnectionCommand; readonly at: number }[] = [];
  /** The last ticket that was issued in the millisecond of a disconnect: when that was, and the later moment that it counts from. */
  #ahead = { issuedAt: 0, countsFrom: 0 };
  /** The latest check of each connection that was answered: what an earlier one learns later is out of date. */
  readonly #answered = new WeakMap<RegisteredConnection, number>();
  #checks = 0;
  #nextExpiry = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  /**
   * @param tell takes a command to the other processes
   * @param ticketLifetime in milliseconds: for so long disconnects are remembered
   * @param findUser a user as the database has it now. Absent where the application cannot tell
   */
  constructor(
    private readonly tell: (command: ConnectionCommand, at: number) => Promise<void>,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly counters: Counters,
    private readonly ticketLifetime: number,
    private readonly findUser?: (userId: string) => Promise<ScopeUser | null | undefined>,
  ) {}

  /** Notes a handshake from before its first question. To be ended, whatever becomes of it. */
  begin(): PendingHandshake {
    const pending: PendingHandshake = { commands: [], identity: undefined };
    this.#pending.add(pending);
    return pending;
  }

  ended(pending: PendingHandshake): void {
    this.#pending.delete(pending);
  }

  /**
   * Whose the connection will be.
   *
   * @throws ApiError where its time is up, or it was to be disconnected, while the handshake was under way
   */
  check(pending: PendingHandshake, { identity }: Scope): Identity | undefined {
    if (identity && isOver(identity, this.clock.now())) throw new SessionExpired();
    if (pending.commands.length > 0) checkCommands(pending.commands, identity);
    pending.identity = identity;
    return identity;
  }

  add(connection: Connection, pending: PendingHandshake): void {
    this.connections.set(connection.scope, connection);
    this.watch(pending.identity);
    this.#applyMissed(connection, pending.commands);
    this.#pending.delete(pending);
  }

  remove({ scope }: Connection): void {
    this.connections.delete(scope);
  }

  /** Undefined before the handshake is granted, and after the end. */
  find(scope: Scope): Connection | undefined {
    return this.connections.get(scope);
  }

  /** Whether this user or session was disconnected at a moment or after it; remembered for `ticketLifetime`. */
  wasDisconnectedSince(moment: Date, identity: Identity): boolean {
    return this.#recent.some(({ command, at }) => at >= moment.getTime() && concerns(command, identity));
  }

  /**
   * The moment that a ticket counts from which is issued now. A disconnect counts for tickets of its own millisecond, so one that is
   * issued behind it is of a later one.
   */
  momentOfIssue(identity: Identity): number {
    const now = this.clock.now().getTime();
    let moment = now;
    while (this.#recent.some(({ command, at }) => at === moment && concerns(command, identity))) moment += 1;
    if (moment > now) this.#ahead = { issuedAt: now, countsFrom: Math.max(moment, this.#momentOfCommand()) };
    return moment;
  }

  /** That of a command which is given now: no earlier than that of a ticket which was issued before. */
  #momentOfCommand(): number {
    const now = this.clock.now().getTime();
    const { issuedAt, countsFrom } = this.#ahead;
    return now >= issuedAt && now < countsFrom ? countsFrom : now;
  }

  /** Whether users can be loaded anew. */
  get canRecheck(): boolean {
    return this.findUser !== undefined;
  }

  /** Gives a connection another identity. */
  identify(scope: Scope, identity: Identity | undefined): void {
    scope.identity = identity;
    this.watch(identity);
  }

  /** Logs that a login or logout was refused behind the end of its request. */
  noteRefusal({ path }: Scope, error: unknown): void {
    this.logger.debug('A login or logout was refused.', { path, error });
  }

  /**
   * Asks the permissions to connect again, outside of the request that is the reason. Events wait for the answer. Never rejects.
   *
   * @param missed commands that came while the connection was another user's
   */
  askAgain(connection: RegisteredConnection, missed: readonly ConnectionCommand[]): Promise<void> {
    return runDetached(() => {
      const checked = connection.recheck();
      connection.holdEvents(checked);
      this.#applyMissed(connection, missed);
      return checked;
    });
  }

  leave(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Obeys here at once, and resolves once the other processes will. */
  async broadcast(command: ConnectionCommand): Promise<void> {
    const at = this.#momentOfCommand();
    this.apply(command, at);
    await this.tell(command, at);
  }

  /** @param at when it was given: tickets that were issued later are good. Default: now */
  apply(command: ConnectionCommand, at = this.#momentOfCommand()): void {
    runDetached(() => this.#apply(command, at));
  }

  /** A command that comes twice is applied once, or does no harm twice. */
  #apply(command: ConnectionCommand, at: number): void {
    this.#remember(command, at);
    for (const pending of this.#pending) pending.commands.push(command);
    for (const connection of [...this.connections.values()]) {
      connection.note(command);
      this.#applyTo(connection, command);
    }
  }

  #remember(command: ConnectionCommand, given: number): void {
    if (command.kind !== 'disconnect') return;
    const now = this.clock.now().getTime();
    this.#recent = this.#recent.filter(({ at }) => at + this.ticketLifetime >= now);
    this.#recent.push({ command, at: given });
  }

  #applyMissed(connection: RegisteredConnection, commands: readonly ConnectionCommand[]): void {
    for (const command of commands) this.#applyTo(connection, command);
  }

  #applyTo(connection: RegisteredConnection, command: ConnectionCommand): void {
    if (!concerns(command, connection.scope.identity)) return;
    if (command.kind === 'disconnect') void connection.end(refusalOf(command), command.code);
    else connection.holdEvents(this.#recheck(connection));
  }

  async #recheck(connection: RegisteredConnection): Promise<void> {
    const { scope } = connection;
    const { identity } = scope;
    if (!identity || !this.findUser) return;
    const check = ++this.#checks;
    const isOutdated = (): boolean =>
      scope.identity?.userId !== identity.userId || (this.#answered.get(connection) ?? 0) > check;
    try {
      const user = await this.findUser(identity.userId);
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

  /** A connection whose user cannot be loaded is closed: the client may come again, and is asked then. */
  async #endUnchecked(connection: RegisteredConnection, error: unknown): Promise<void> {
    this.counters.increment('signalbox.unchecked_connections', { asked: 'user' });
    this.logger.error('A connection could not be checked again.', { path: connection.scope.path, error });
    const reason =
      error instanceof HandshakeTimedOut ? error : new NotAuthenticated('Your rights could not be checked.');
    await connection.end(reason, CloseCode.serverError);
  }

  // One timer for all identities, at the full second in which the next one expires. It counts by the clock, so that it
  // follows where the clock is put forward or back.

  /** Closes the connection of this identity when that expires. */
  watch(identity: Identity | undefined): void {
    const due = expiryOf(identity);
    if (due >= this.#nextExpiry) return;
    this.#nextExpiry = due;
    // A timer would keep the request that set it, and its transaction, for the code that it calls.
    runDetached(() => this.#waitForExpiry());
  }

  #waitForExpiry(): void {
    this.leave();
    const wait = Math.max(0, this.#nextExpiry - this.clock.now().getTime());
    this.#timer = this.clock.after(Math.min(wait, longestWait), () => this.#expire());
  }

  #expire(): void {
    const now = this.clock.now();
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    for (const connection of [...this.connections.values()]) {
      const { identity } = connection.scope;
      if (identity && isOver(identity, now)) void connection.end(new SessionExpired(), CloseCode.unauthenticated);
      else this.#nextExpiry = Math.min(this.#nextExpiry, expiryOf(identity));
    }
    this.#timer = undefined;
    if (this.#nextExpiry < Number.POSITIVE_INFINITY) this.#waitForExpiry();
  }
}

/** The full second in which it expires: expiries of one second are handled at once. */
function expiryOf(identity: Identity | undefined): number {
  if (!identity?.expiresAt) return Number.POSITIVE_INFINITY;
  return Math.ceil((identity.expiresAt.getTime() || 0) / 1_000) * 1_000;
}
