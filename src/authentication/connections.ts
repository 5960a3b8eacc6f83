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

/** A key as the database has it; keys are compared as text. */
export type Id = string | number | bigint;

/** The close code of a disconnect: 4401 if the user has to log in again, 4403 if that would not help. */
export type DisconnectCode = typeof CloseCode.unauthenticated | typeof CloseCode.forbidden;

/**
 * Changes the users of open connections. Injected.
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
  /** The application makes it. */
  constructor(
    private readonly registry: ConnectionRegistry,
    private readonly clock: Clock,
  ) {}

  /**
   * Logs a user in on a connection, after the request has succeeded: until then only the request's own code sees the new user in the scope.
   * Meanwhile no request, message or hook of the connection begins; they wait for the outcome. The subscriptions of the former user end;
   * after the reply, the connect permissions are asked again. If the request fails, nothing changes. Code that runs on after its request
   * has ended changes no login.
   *
   * @param proven has the id of a new session, or none: a session that was known before the login could belong to another user too
   * @param session becomes `scope.session`. Default: the session in `proven`
   * @throws SessionExpired if the identity has expired; the request's end, if it has ended already
   * @throws NotAuthenticated, PermissionDenied if the user was disconnected since the request began
   * @throws Throttled if the user has as many connections as allowed
   * @throws ConfigurationError if the client had the session before the login
   */
  login(scope: Scope, user: ScopeUser, proven: Authentication, session = proven.session): Promise<void> {
    return this.#own(scope, async () => {
      const identity = identityOf(proven);
      if (isOver(identity, this.clock.now())) throw new SessionExpired();
      checkNewSession(scope, identity);
      await this.#change(scope, { user, session, identity });
    });
  }

  /** Logs the user out of one connection. The user's other connections stay as they are. Otherwise like `login`. */
  logout(scope: Scope): Promise<void> {
    return this.#own(scope, () => this.#change(scope, { user: undefined, session: undefined, identity: undefined }));
  }

  /**
   * Sets a new expiry for the connection's identity, for example when its client has sent a fresh token.
   *
   * @throws SessionExpired if the connection's identity or the new one has expired
   * @throws PermissionDenied if the identity belongs to another user, or if no user is logged in; the connection stays unchanged
   */
  refresh(scope: Scope, proven: Authentication): void {
    this.registry.find(scope)?.requireRequest();
    const identity = identityOf(proven);
    const { identity: former } = scope;
    if (!former) throw new PermissionDenied('No user is logged in.');
    if (String(former.userId) !== String(identity.userId))
      throw new PermissionDenied('The credentials belong to another user.');
    const now = this.clock.now();
    if (isOver(former, now) || isOver(identity, now)) throw new SessionExpired();
    const { sessionId } = former;
    this.registry.identify(scope, { ...(sessionId !== undefined && { sessionId }), ...identity });
  }

  /**
   * Closes every connection of a user in every process, including handshakes in progress. Does nothing if there is none. It takes effect
   * here at once, even if the surrounding transaction is rolled back; other processes apply it from the change log, before any event that
   * is committed later. While the database is unreachable the command is kept, and it is written afterwards.
   *
   * @param reason a sentence for the client, at most 123 bytes. Default: that the user was logged out
   * @param code default: 4401
   * @throws RangeError for a longer reason
   */
  disconnectUser(id: Id, reason?: string, code?: DisconnectCode): Promise<void> {
    return this.#disconnect({ user: String(id) }, reason, code);
  }

  /** Like `disconnectUser`, for the connections of one session. */
  disconnectSession(id: Id, reason?: string, code?: DisconnectCode): Promise<void> {
    return this.#disconnect({ session: String(id) }, reason, code);
  }

  /**
   * Loads a user again for each of their connections, in every process, and asks the connect permissions again. Closes a connection with
   * 4403 if all its streams refuse, and with 4401 if the user no longer exists.
   *
   * @throws ConfigurationError if the application has no `users`
   */
  async recheckUser(id: Id): Promise<void> {
    if (!this.registry.canRecheck) throw noUsers();
    await this.registry.broadcast({ kind: 'recheck', owner: { user: String(id) } });
  }

  async #disconnect(owner: ConnectionOwner, reason?: string, code?: DisconnectCode): Promise<void> {
    if (reason !== undefined) checkReason(reason);
    await this.registry.broadcast(disconnecting(owner, reason, code));
  }

  /** Runs work that belongs to the running request, whether its code awaits it or not. */
  #own(scope: Scope, work: () => Promise<void>): Promise<void> {
    const connection = this.registry.find(scope);
    if (!connection) return work();
    const begun = begin(connection, work);
    const owned = connection.own(begun);
    // No request can fail with it any more; without a handler, the rejection would end the process.
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

  /** Sets the user after the request. If several requests log in at once, the last one that succeeds decides. */
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
      // A failed request leaves the groups that it joined as another user.
      const left = !hasSucceeded && wasOther ? runDetached(() => connection.switchUser()) : undefined;
      const ask = (): Promise<void> => this.registry.askAgain(connection, missed);
      void (left ? left.then(ask) : ask()).then(resolve);
    });
  }
}

/** @throws the reason why the running request has ended */
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
    reason: 'is missing, so users cannot be reloaded and checked again.',
    remedy: 'Name a provider that implements UserStore: createApp({ users: Users }).',
  });
}

function isSameUser(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && other !== undefined && String(one.userId) === String(other.userId);
}

function userOf({ identity }: UserFacts): string | undefined {
  return identity && String(identity.userId);
}

/** Refuses a session that existed before the login: an attacker may have planted it, and would be logged in with it. */
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
