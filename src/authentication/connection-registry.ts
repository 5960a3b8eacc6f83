import { runDetached } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import { type ApiError, HandshakeTimedOut, NotAuthenticated, PermissionDenied, SessionExpired } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeUser } from '../scope/scope-types.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';
import { isOver } from './authentication.js';

/** The owner of connections: a user or a session. */
export type ConnectionOwner = { readonly user: string } | { readonly session: string };

/** A command to the connections of a user or a session, in every process. */
export type ConnectionCommand =
  | { readonly kind: 'disconnect'; readonly owner: ConnectionOwner; readonly reason: string; readonly code: number }
  | { readonly kind: 'recheck'; readonly owner: ConnectionOwner };

export function concerns({ owner }: ConnectionCommand, identity: Identity | undefined): boolean {
  if (!identity) return false;
  return 'user' in owner ? String(identity.userId) === owner.user : identity.sessionId === owner.session;
}

/** @throws the error that refuses a user or session which one of these commands disconnects */
export function checkCommands(commands: readonly ConnectionCommand[], identity: Identity | undefined): void {
  for (const command of commands)
    if (command.kind === 'disconnect' && concerns(command, identity)) throw refusalOf(command);
}

export function refusalOf({ code, reason }: ConnectionCommand & { readonly kind: 'disconnect' }): ApiError {
  return code === CloseCode.forbidden ? new PermissionDenied(reason) : new NotAuthenticated(reason);
}

/** The slot of a connection among those of its user. */
export interface UserSlot {
  /**
   * Takes a slot of this user.
   *
   * @throws Throttled if the user has as many connections as allowed; then nothing has changed
   */
  takeFor(user: string | undefined): void;
  /** Counts the connection for its former user again, even if that user has reached the limit meanwhile. */
  returnTo(user: string | undefined): void;
}

/** An admitted connection, with the methods that depend on its user. */
export interface RegisteredConnection {
  readonly scope: Scope;
  readonly slot: UserSlot;
  /** Answers waiting and running requests with the reason, then closes with the code. Only the first call counts. Never rejects. */
  end(reason: ApiError, code: number): Promise<void>;
  /** Ends the subscriptions and groups of the former user, and sends the client an error for each subscription. Never rejects. */
  switchUser(): Promise<void>;
  /** Asks the connect permissions again: closes the connection if all streams refuse, otherwise refuses single streams. Never rejects. */
  recheck(): Promise<void>;
  /** Makes later events wait for this promise, which never rejects. */
  holdEvents(until: Promise<void>): void;
  /** Keeps a command for the running requests: what they have read may be out of date because of it. */
  note(command: ConnectionCommand): void;
  /** The commands since the running request began, including later ones; empty outside of any request. */
  commandsMeanwhile(): readonly ConnectionCommand[];
  /** Calls back after the running request is answered; at once outside of any request. */
  afterRequest(work: (hasSucceeded: boolean) => void): void;
  /** @throws the reason why the running request has ended, which may change nothing any more */
  requireRequest(): void;
  /** Makes the running request wait for the promise before its reply. Unless its code awaits the promise, the request fails with it. */
  own<T>(work: Promise<T>): Promise<T>;
}

/** A handshake that is under way. */
export interface PendingHandshake {
  /** The commands that came during the handshake: because of them, its data may be out of date. */
  readonly commands: ConnectionCommand[];
  /** The identity of the connection, after `check` has accepted it. */
  identity: Identity | undefined;
}

/** The longest time in milliseconds until a clock that was put forward is noticed. */
const longestWait = 10_000;

/** Every connection of this process, and every handshake in progress. Applies the commands of all processes. */
export class ConnectionRegistry<Connection extends RegisteredConnection = RegisteredConnection> {
  readonly connections = new Map<Scope, Connection>();
  readonly #pending = new Set<PendingHandshake>();
  /** Disconnects within the last `ticketLifetime`: an earlier ticket of such a user proves nothing any more. */
  #recent: { readonly command: ConnectionCommand; readonly at: number }[] = [];
  /**
   * The last ticket that was issued in the millisecond of a disconnect: when it was issued, and the later moment that counts as its issue.
   */
  #ahead = { issuedAt: 0, countsFrom: 0 };
  /** The number of each connection's latest answered check: a result of an earlier check is out of date. */
  readonly #answered = new WeakMap<RegisteredConnection, number>();
  #checks = 0;
  #nextExpiry = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  /**
   * @param tell sends a command to the other processes
   * @param ticketLifetime in milliseconds: disconnects are remembered for this time
   * @param findUser loads the current user from the database; undefined if the application has no `users`
   */
  constructor(
    private readonly tell: (command: ConnectionCommand, at: number) => Promise<void>,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly counters: Counters,
    private readonly ticketLifetime: number,
    private readonly findUser?: (userId: string) => Promise<ScopeUser | null | undefined>,
  ) {}

  /** Registers a handshake before its first question. The caller has to end it in any case. */
  begin(): PendingHandshake {
    const pending: PendingHandshake = { commands: [], identity: undefined };
    this.#pending.add(pending);
    return pending;
  }

  ended(pending: PendingHandshake): void {
    this.#pending.delete(pending);
  }

  /**
   * The identity that the connection will have.
   *
   * @throws ApiError if the identity has expired, or was disconnected, during the handshake
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

  /** The connection; undefined before the handshake is granted, and after the connection's end. */
  find(scope: Scope): Connection | undefined {
    return this.connections.get(scope);
  }

  /** Whether this user or session was disconnected at this moment or later; remembered for `ticketLifetime`. */
  wasDisconnectedSince(moment: Date, identity: Identity): boolean {
    return this.#recent.some(({ command, at }) => at >= moment.getTime() && concerns(command, identity));
  }

  /**
   * The moment that counts as the issue of a ticket that is issued now. A disconnect also ends tickets of its own millisecond, so a ticket
   * that is issued after it gets a later moment.
   */
  momentOfIssue(identity: Identity): number {
    const now = this.clock.now().getTime();
    let moment = now;
    while (this.#recent.some(({ command, at }) => at === moment && concerns(command, identity))) moment += 1;
    if (moment > now) this.#ahead = { issuedAt: now, countsFrom: Math.max(moment, this.#momentOfCommand()) };
    return moment;
  }

  /** The moment of a command that is given now: not before that of a ticket that was already issued. */
  #momentOfCommand(): number {
    const now = this.clock.now().getTime();
    const { issuedAt, countsFrom } = this.#ahead;
    return now >= issuedAt && now < countsFrom ? countsFrom : now;
  }

  /** Whether users can be loaded again. */
  get canRecheck(): boolean {
    return this.findUser !== undefined;
  }

  /** Gives a connection another identity. */
  identify(scope: Scope, identity: Identity | undefined): void {
    scope.identity = identity;
    this.watch(identity);
  }

  /** Logs that a login or logout was refused after its request had ended. */
  noteRefusal({ path }: Scope, error: unknown): void {
    this.logger.debug('A login or logout was refused.', { path, error });
  }

  /**
   * Asks the connect permissions again, outside of the request that is the reason. Events wait for the answer. Never rejects.
   *
   * @param missed commands that came while the connection belonged to another user
   */
  askAgain(connection: RegisteredConnection, missed: readonly ConnectionCommand[]): Promise<void> {
    return runDetached(() => {
      const checked = connection.recheck();
      connection.holdEvents(checked);
      this.#applyMissed(connection, missed);
      return checked;
    });
  }

  stopExpiry(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Applies a command here at once, and resolves when the change log will take it to the other processes. */
  async broadcast(command: ConnectionCommand): Promise<void> {
    const at = this.#momentOfCommand();
    this.apply(command, at);
    await this.tell(command, at);
  }

  /** @param at when the command was given: tickets that were issued later stay valid. Default: now */
  apply(command: ConnectionCommand, at = this.#momentOfCommand()): void {
    runDetached(() => this.#apply(command, at));
  }

  /** Applies a command. Applying it twice does no harm. */
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

  /** Closes a connection whose user cannot be loaded: the client may reconnect, and is checked then. */
  async #endUnchecked(connection: RegisteredConnection, error: unknown): Promise<void> {
    this.counters.increment('signalbox.unchecked_connections', { asked: 'user' });
    this.logger.error('A connection could not be checked again.', { path: connection.scope.path, error });
    const reason =
      error instanceof HandshakeTimedOut ? error : new NotAuthenticated('Your rights could not be checked.');
    await connection.end(reason, CloseCode.serverError);
  }

  // One timer for all identities, set to the full second in which the next one expires. It follows the clock, also when that is put forward
  // or back.

  /** Closes the connection of this identity when the identity expires. */
  watch(identity: Identity | undefined): void {
    const due = expiryOf(identity);
    if (due >= this.#nextExpiry) return;
    this.#nextExpiry = due;
    // Otherwise the timer would keep the request that set it, and that request's transaction, for the code that it calls.
    runDetached(() => this.#waitForExpiry());
  }

  #waitForExpiry(): void {
    this.stopExpiry();
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

/** The full second of the expiry: expiries within one second are handled together. */
function expiryOf(identity: Identity | undefined): number {
  if (!identity?.expiresAt) return Number.POSITIVE_INFINITY;
  return Math.ceil((identity.expiresAt.getTime() || 0) / 1_000) * 1_000;
}
