import { currentWork, runDetached } from '../async-context.js';
import type { Clock } from '../clock.js';
import { ConfigurationError, PermissionDenied, SessionExpired } from '../errors.js';
import { ownership, type Scope, type UserFacts } from '../scope/scope.js';
import type { Identity, ScopeUser } from '../scope/scope-types.js';
import { CloseCode, checkReason } from '../status.js';
import { type Authentication, identityOf, isOver } from './authentication.js';
import {
  type ConnectionCommand,
  type ConnectionOwner,
  type ConnectionRegistry,
  checkCommands,
  type RegisteredConnection,
} from './connection-registry.js';

/** A key as the database has it; compared as text. */
export type Id = string | number | bigint;

/** What a connection is closed with: 4401 where the user has to log in again, 4403 where that would not help. */
export type DisconnectCode = typeof CloseCode.unauthenticated | typeof CloseCode.forbidden;

/**
 * Whose the open connections are. Inject it.
 *
 * ```ts
 * @Action()
 * async login({ name, password }: Credentials, { scope }: ActionContext) {
 *   const { user, session } = await this.sessions.open(name, password);
 *   await this.connections.login(scope, user, { userId: String(user.id), sessionId: session.id });
 * }
 * ```
 */
export class Connections {
  /** Made by the application. */
  constructor(
    private readonly registry: ConnectionRegistry,
    private readonly clock: Clock,
  ) {}

  /**
   * Gives a connection to a user, once the request has succeeded: until then its own code alone sees the new user in the scope. No
   * request, message or hook of the connection begins meanwhile; they are served for whom it is then. What the user before had
   * subscribed to ends; behind the answer, the permissions to connect are asked again. In a request that fails it has not happened.
   * Code that runs on after its request ended changes no login.
   *
   * @param proven bears the id of a new session, or none: one that was known before the login could be another user's too
   * @param session what `scope.session` becomes. Default: what was loaded along
   * @throws SessionExpired where the identity has expired; what ended the request, where it has ended already
   * @throws NotAuthenticated, PermissionDenied where the user was disconnected since the request began
   * @throws Throttled where the user has as many connections as it may have
   * @throws ConfigurationError where the session is one that the client had before
   */
  login(scope: Scope, user: ScopeUser, proven: Authentication, session = proven.session): Promise<void> {
    return this.#own(scope, async () => {
      const identity = identityOf(proven);
      if (isOver(identity, this.clock.now())) throw new SessionExpired();
      checkNewSession(scope, identity);
      await this.#change(scope, { user, session, identity });
    });
  }

  /** Takes a connection from its user. The user's other connections stay as they are. Otherwise as `login`. */
  logout(scope: Scope): Promise<void> {
    return this.#own(scope, () => this.#change(scope, { user: undefined, session: undefined, identity: undefined }));
  }

  /**
   * Notes until when a connection belongs to its user, after its client has brought a fresh token, say.
   *
   * @throws SessionExpired where the time is up, of the connection or of the identity brought
   * @throws PermissionDenied where that is another user, or no user is logged in; the connection stays what it was
   */
  refresh(scope: Scope, proven: Authentication): void {
    this.registry.find(scope)?.requireRequest();
    const identity = identityOf(proven);
    const { identity: former } = scope;
    if (!former) throw new PermissionDenied('No user is logged in.');
    if (String(former.userId) !== String(identity.userId)) throw new PermissionDenied('That is another user.');
    const now = this.clock.now();
    if (isOver(former, now) || isOver(identity, now)) throw new SessionExpired();
    const { sessionId } = former;
    this.registry.identify(scope, { ...(sessionId !== undefined && { sessionId }), ...identity });
  }

  /**
   * Closes every connection of a user, in every process, handshakes under way included. Nothing where there is none. Takes
   * effect here at once, whatever becomes of the transaction around it, and elsewhere through the change log: before any event that is
   * committed later. While the database is away the command is kept, and written when it is back.
   *
   * @param reason a sentence for the client, at most 123 bytes. Default: that they were logged out
   * @param code default 4401
   * @throws RangeError for a longer one
   */
  disconnectUser(id: Id, reason?: string, code?: DisconnectCode): Promise<void> {
    return this.#disconnect({ user: String(id) }, reason, code);
  }

  /** As the method above, for the connections of one session. */
  disconnectSession(id: Id, reason?: string, code?: DisconnectCode): Promise<void> {
    return this.#disconnect({ session: String(id) }, reason, code);
  }

  /**
   * Loads a user anew for each of their connections, in every process, and asks the permissions to connect again. Closes
   * with 4403 where all streams refuse, and with 4401 where there is no such user any more.
   *
   * @throws ConfigurationError where the application has no `users`
   */
  async recheckUser(id: Id): Promise<void> {
    if (!this.registry.canRecheck) throw noUsers();
    await this.registry.broadcast({ kind: 'recheck', owner: { user: String(id) } });
  }

  async #disconnect(owner: ConnectionOwner, reason?: string, code?: DisconnectCode): Promise<void> {
    if (reason !== undefined) checkReason(reason);
    await this.registry.broadcast(disconnecting(owner, reason, code));
  }

  /** Awaited or not, it belongs to the request under way. */
  #own(scope: Scope, work: () => Promise<void>): Promise<void> {
    const connection = this.registry.find(scope);
    if (!connection) return work();
    const begun = begin(connection, work);
    const owned = connection.own(begun);
    // No request fails with it any more: a rejection that its code does not await would end the process.
    if (owned === begun) begun.catch((error) => this.registry.noteRefusal(scope, error));
    return owned;
  }

  async #change(scope: Scope, facts: UserFacts): Promise<void> {
    const { identity: former } = scope;
    const connection = this.registry.find(scope);
    const missed = connection?.commandsMeanwhile() ?? [];
    checkCommands(missed, facts.identity);
    connection?.slot.takeFor(userOf(facts));
    const isOther = !isSameUser(former, facts.identity);
    const isFirst = scope[ownership].propose(facts, isOther);
    if (!connection) {
      this.registry.watch(scope.identity);
      return;
    }
    if (isFirst) this.#settleAfterRequest(connection, missed);
    if (isOther) await connection.switchUser();
  }

  /** The last of those that log in at once and succeed is the user. */
  #settleAfterRequest(connection: RegisteredConnection, missed: readonly ConnectionCommand[]): void {
    const { scope, slot } = connection;
    const owner = scope[ownership];
    const work = currentWork.getStore();
    const { promise, resolve } = Promise.withResolvers<void>();
    owner.holdUntil(promise);
    connection.afterRequest((hasSucceeded) => {
      const wasOther = owner.settle(work, hasSucceeded);
      if (!owner.isProposed) slot.returnTo(userOf(owner));
      this.registry.watch(owner.identity);
      // What a request that failed has joined as another user is left again.
      const left = !hasSucceeded && wasOther ? runDetached(() => connection.switchUser()) : undefined;
      const ask = (): Promise<void> => this.registry.askAgain(connection, missed);
      void (left ? left.then(ask) : ask()).then(resolve);
    });
  }
}

/** @throws what ended the request whose code this is */
async function begin(connection: RegisteredConnection, work: () => Promise<void>): Promise<void> {
  connection.requireRequest();
  await work();
}

export function disconnecting(
  owner: ConnectionOwner,
  reason = 'You were logged out.',
  code: DisconnectCode = CloseCode.unauthenticated,
): ConnectionCommand {
  return { kind: 'disconnect', owner, reason, code };
}

export function noUsers(): ConfigurationError {
  return new ConfigurationError({
    class: 'createApp',
    member: 'users',
    reason: 'is not given, so that no user can be loaded anew to be checked again.',
    remedy: 'Name a provider that implements UserStore: createApp({ users: Users }).',
  });
}

function isSameUser(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && other !== undefined && String(one.userId) === String(other.userId);
}

function userOf({ identity }: UserFacts): string | undefined {
  return identity && String(identity.userId);
}

/** A session that was there before the login may have been planted: an attacker who planted it would be logged in with it. */
function checkNewSession({ identity: former, cookies }: Scope, { sessionId }: Identity): void {
  if (sessionId === undefined) return;
  if (sessionId !== former?.sessionId && !Object.values(cookies).includes(sessionId)) return;
  throw new ConfigurationError({
    class: 'Connections',
    member: 'login',
    reason: 'was given the session that the client had before.',
    remedy: 'Make a new session at every login, and delete the old one.',
  });
}
