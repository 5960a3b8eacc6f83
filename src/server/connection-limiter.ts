import type { UserSlot } from '../authentication/connection-registry.js';
import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { Overloaded, Throttled } from '../errors.js';
import type { Limits } from '../limits.js';
import { addressKey } from './client-address.js';
import { TokenBucket } from './rate-limit.js';

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

/** Suggested retry delay in milliseconds when a connection limit is reached: nobody knows when a connection ends. */
const retryDelay = 10_000;

/** Addresses, and users, that are remembered before the idle ones are forgotten. */
const remembered = 10_000;

/**
 * How many may connect. An address that calls too often is refused before it takes anything of what all have in common, and
 * everyone is refused before anything is asked that costs, such as who it is.
 */
export class ConnectionLimiter {
  readonly #handshakes: TokenBucket;
  readonly #callers = new Map<string, Caller>();
  readonly #users = new Map<string, User>();
  #connections = 0;
  #forgottenAt = 0;

  constructor(
    private readonly limits: Limits,
    private readonly clock: Clock,
    private readonly counters: Counters,
  ) {
    const { handshakesPerSecond } = limits;
    this.#handshakes = new TokenBucket(handshakesPerSecond, handshakesPerSecond, clock.elapsed());
  }

  /** Of how many addresses something is known. */
  get knownAddresses(): number {
    return this.#callers.size;
  }

  /** Of how many users something is known. */
  get knownUsers(): number {
    return this.#users.size;
  }

  /**
   * A socket that has not asked for anything yet.
   *
   * @returns what ends that, to be called once; undefined where its address has too many of them
   */
  addSocket(address: string): (() => void) | undefined {
    const caller = this.#caller(addressKey(address));
    const { socketsPerAddress, connectionsPerAddress } = this.limits;
    if (caller.sockets >= Math.max(socketsPerAddress, connectionsPerAddress)) {
      this.#count('address_sockets');
      return undefined;
    }
    caller.sockets += 1;
    return () => {
      caller.sockets -= 1;
    };
  }

  /**
   * A handshake begins.
   *
   * @param address undefined over a transport that has none
   * @throws Throttled, Overloaded; both say when to try again
   */
  enter(address: string | undefined): ConnectionSlot {
    const now = this.clock.elapsed();
    const caller = address === undefined ? undefined : this.#caller(addressKey(address));
    if (caller) this.#checkCaller(caller, now);
    this.#checkProcess(now);
    if (caller) caller.connections += 1;
    this.#connections += 1;
    return new ConnectionSlot(this, caller);
  }

  /** A connection is over. */
  leave(caller: Caller | undefined): void {
    this.#connections -= 1;
    if (caller) caller.connections -= 1;
  }

  /** @throws Throttled where this user has as many connections as it may have */
  checkUser(name: string): void {
    const { connectionsPerUser } = this.limits;
    if ((this.#users.get(name)?.connections ?? 0) < connectionsPerUser) return;
    const text = `There may be ${connectionsPerUser} connections of one user.`;
    this.#refuse('user_connections', new Throttled(text, { retryAfter: retryDelay }));
  }

  /** Outlives its connections, so that a user who comes back finds what it had left. */
  user(name: string): User {
    const known = this.#users.get(name);
    if (known) return known;
    this.#forgetIdle(this.#users, ({ connections, messages }, now) => connections === 0 && messages.isFull(now));
    const { userMessagesPerSecond, userMessageBurst, messagesPerSecond, messageBurst } = this.limits;
    const rate = Math.max(userMessagesPerSecond, messagesPerSecond);
    const messages = new TokenBucket(rate, Math.max(userMessageBurst, messageBurst), this.clock.elapsed());
    const user = { name, connections: 0, messages };
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
    const { addressHandshakesPerSecond, addressHandshakeBurst } = this.limits;
    const handshakes = new TokenBucket(addressHandshakesPerSecond, addressHandshakeBurst, this.clock.elapsed());
    const caller = { sockets: 0, connections: 0, handshakes };
    this.#callers.set(key, caller);
    return caller;
  }

  #checkCaller({ connections, handshakes }: Caller, now: number): void {
    const { connectionsPerAddress } = this.limits;
    const wait = handshakes.take(1, now);
    if (wait > 0) this.#refuse('address_handshakes', new Throttled('Too many handshakes.', { retryAfter: wait }));
    if (connections < connectionsPerAddress) return;
    const text = `There may be ${connectionsPerAddress} connections of one address.`;
    this.#refuse('address_connections', new Throttled(text, { retryAfter: retryDelay }));
  }

  #checkProcess(now: number): void {
    if (this.#connections >= this.limits.connections)
      this.#refuse('connections', new Overloaded(undefined, { retryAfter: retryDelay }));
    const wait = this.#handshakes.take(1, now);
    if (wait > 0) this.#refuse('handshakes', new Overloaded('Too many handshakes.', { retryAfter: wait }));
  }

  /** At most once a second: a look at all of them costs. */
  #forgetIdle<T>(known: Map<string, T>, isIdle: (one: T, now: number) => boolean): void {
    const now = this.clock.elapsed();
    if (known.size < remembered || Math.abs(now - this.#forgottenAt) < 1_000) return;
    this.#forgottenAt = now;
    for (const [key, one] of known) if (isIdle(one, now)) known.delete(key);
  }

  #refuse(limit: string, error: Throttled | Overloaded): never {
    this.#count(limit);
    throw error;
  }

  #count(limit: string): void {
    this.counters.increment('signalbox.limits_reached', { limit });
  }
}

/** What one connection takes up, from the first byte of its handshake to its end. */
export class ConnectionSlot implements UserSlot {
  #user: User | undefined;
  #isLeft = false;

  constructor(
    private readonly limiter: ConnectionLimiter,
    private readonly caller: Caller | undefined,
  ) {}

  /** What the connections of its user may send together; undefined where no user is logged in. */
  get messages(): TokenBucket | undefined {
    return this.#user?.messages;
  }

  takeFor(name: string | undefined): void {
    if (!this.#isLeft && name !== undefined && name !== this.#user?.name) this.limiter.checkUser(name);
    this.returnTo(name);
  }

  returnTo(name: string | undefined): void {
    if (this.#isLeft || name === this.#user?.name) return;
    if (this.#user) this.#user.connections -= 1;
    this.#user = name === undefined ? undefined : this.limiter.user(name);
    if (this.#user) this.#user.connections += 1;
  }

  /** Once the connection is over. May be called twice. */
  leave(): void {
    if (this.#isLeft) return;
    this.returnTo(undefined);
    this.#isLeft = true;
    this.limiter.leave(this.caller);
  }
}
