import type { UserPlace } from '../authentication/live-connection.js';
import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { Overloaded, Throttled } from '../errors.js';
import type { Limits } from '../limits.js';
import { addressKey } from './client-address.js';
import { TokenBucket } from './token-bucket.js';

export interface HandshakeLimitParts {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly counters: Counters;
}

/** What one connection takes up, from the first byte of its handshake to its end. */
export interface Place extends UserPlace {
  /** What the connections of its user may send together; undefined where it is nobody's. */
  readonly messages: TokenBucket | undefined;
  /** Once it is over. May be called twice. */
  leave(): void;
}

interface Caller {
  /** Those that have not asked for a handshake yet. */
  sockets: number;
  connections: number;
  readonly handshakes: TokenBucket;
}

interface User {
  readonly name: string;
  connections: number;
  readonly messages: TokenBucket;
}

/** Nobody knows when somebody leaves. */
const crowded = 10_000;

/** Addresses, and users, that are remembered before those are forgotten of whom nothing needs to be known. */
const many = 10_000;

/**
 * How many may connect. An address that calls too often is refused before it takes anything of what all have in common, and
 * everybody is refused before anything is asked that costs, such as who it is.
 */
export class HandshakeLimits {
  readonly #parts: HandshakeLimitParts;
  readonly #handshakes: TokenBucket;
  readonly #callers = new Map<string, Caller>();
  readonly #users = new Map<string, User>();
  #connections = 0;
  #forgottenAt = 0;

  constructor(parts: HandshakeLimitParts) {
    this.#parts = parts;
    const { handshakesPerSecond } = parts.limits;
    this.#handshakes = new TokenBucket(handshakesPerSecond, handshakesPerSecond, this.#now());
  }

  /** Of how many addresses something is known. */
  get remembered(): number {
    return this.#callers.size;
  }

  /** Of how many users something is known. */
  get users(): number {
    return this.#users.size;
  }

  /** @throws Throttled, Overloaded; both say when to try again */
  enter(address: string | undefined): Place {
    const caller = address === undefined ? undefined : this.#caller(addressKey(address));
    if (caller) this.#checkCaller(caller);
    this.#checkProcess();
    if (caller) caller.connections += 1;
    this.#connections += 1;
    return new TakenPlace(this, caller);
  }

  /** A connection is over. */
  leave(caller: Caller | undefined): void {
    this.#connections -= 1;
    if (caller) caller.connections -= 1;
  }

  /**
   * A socket before its handshake.
   *
   * @returns what ends that, to be called once; undefined where there are too many
   */
  knock(address: string): (() => void) | undefined {
    const caller = this.#caller(addressKey(address));
    const { socketsPerAddress, connectionsPerAddress } = this.#parts.limits;
    if (caller.sockets >= Math.max(socketsPerAddress, connectionsPerAddress)) {
      this.#count('address_sockets');
      return undefined;
    }
    caller.sockets += 1;
    return () => {
      caller.sockets -= 1;
    };
  }

  #checkCaller({ connections, handshakes }: Caller): void {
    const { connectionsPerAddress } = this.#parts.limits;
    const wait = handshakes.take(1, this.#now());
    if (wait > 0) this.#refuse('address_handshakes', new Throttled('Too many handshakes.', { retryAfter: wait }));
    if (connections < connectionsPerAddress) return;
    const text = `There may be ${connectionsPerAddress} connections of one address.`;
    this.#refuse('address_connections', new Throttled(text, { retryAfter: crowded }));
  }

  #checkProcess(): void {
    if (this.#connections >= this.#parts.limits.connections)
      this.#refuse('connections', new Overloaded(undefined, { retryAfter: crowded }));
    const wait = this.#handshakes.take(1, this.#now());
    if (wait > 0) this.#refuse('handshakes', new Overloaded('Too many handshakes.', { retryAfter: wait }));
  }

  /** @throws Throttled where this user has as many connections as it may have */
  checkUser(name: string): void {
    const { connectionsPerUser } = this.#parts.limits;
    if ((this.#users.get(name)?.connections ?? 0) < connectionsPerUser) return;
    const text = `There may be ${connectionsPerUser} connections of one user.`;
    this.#refuse('user_connections', new Throttled(text, { retryAfter: crowded }));
  }

  /** Outlives its connections, so that who comes back finds what it had left. */
  user(name: string): User {
    const known = this.#users.get(name);
    if (known) return known;
    this.#forgetIdle(this.#users, ({ connections, messages }, now) => connections === 0 && messages.isFull(now));
    const { userMessagesPerSecond, userMessageBurst, messagesPerSecond, messageBurst } = this.#parts.limits;
    const rate = Math.max(userMessagesPerSecond, messagesPerSecond);
    const user = {
      name,
      connections: 0,
      messages: new TokenBucket(rate, Math.max(userMessageBurst, messageBurst), this.#now()),
    };
    this.#users.set(name, user);
    return user;
  }

  #caller(key: string): Caller {
    const known = this.#callers.get(key);
    if (known) return known;
    this.#forgetIdle(
      this.#callers,
      ({ sockets, connections, handshakes }, now) => sockets + connections === 0 && handshakes.isFull(now),
    );
    const { addressHandshakesPerSecond, addressHandshakeBurst } = this.#parts.limits;
    const handshakes = new TokenBucket(addressHandshakesPerSecond, addressHandshakeBurst, this.#now());
    const caller = { sockets: 0, connections: 0, handshakes };
    this.#callers.set(key, caller);
    return caller;
  }

  /** At most once a second: a look at all of them costs. */
  #forgetIdle<T>(known: Map<string, T>, isIdle: (one: T, now: number) => boolean): void {
    const now = this.#now();
    if (known.size < many || Math.abs(now - this.#forgottenAt) < 1_000) return;
    this.#forgottenAt = now;
    for (const [key, one] of known) if (isIdle(one, now)) known.delete(key);
  }

  #refuse(limit: string, error: Throttled | Overloaded): never {
    this.#count(limit);
    throw error;
  }

  #count(limit: string): void {
    this.#parts.counters.increment('signalbox.limits_reached', { limit });
  }

  #now(): number {
    return this.#parts.clock.elapsed();
  }
}

class TakenPlace implements Place {
  readonly #limits: HandshakeLimits;
  readonly #caller: Caller | undefined;
  #user: User | undefined;
  #isLeft = false;

  constructor(limits: HandshakeLimits, caller: Caller | undefined) {
    this.#limits = limits;
    this.#caller = caller;
  }

  get messages(): TokenBucket | undefined {
    return this.#user?.messages;
  }

  takeFor(name: string | undefined): void {
    if (!this.#isLeft && name !== undefined && name !== this.#user?.name) this.#limits.checkUser(name);
    this.returnTo(name);
  }

  returnTo(name: string | undefined): void {
    if (this.#isLeft || name === this.#user?.name) return;
    if (this.#user) this.#user.connections -= 1;
    this.#user = name === undefined ? undefined : this.#limits.user(name);
    if (this.#user) this.#user.connections += 1;
  }

  leave(): void {
    if (this.#isLeft) return;
    this.returnTo(undefined);
    this.#isLeft = true;
    this.#limits.leave(this.#caller);
  }
}
