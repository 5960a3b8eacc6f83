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
  /** Once it is over. May be called twice. */
  leave(): void;
}

interface Caller {
  /** Those that have not asked for a handshake yet. */
  sockets: number;
  connections: number;
  readonly handshakes: TokenBucket;
}

/** Nobody knows when somebody leaves. */
const crowded = 10_000;

/** Addresses that are remembered before those are forgotten of whom nothing needs to be known. */
const manyCallers = 10_000;

/**
 * How many may connect. An address that calls too often is refused before it takes anything of what all have in common, and
 * everybody is refused before anything is asked that costs, such as who it is.
 */
export class HandshakeLimits {
  readonly #parts: HandshakeLimitParts;
  readonly #handshakes: TokenBucket;
  readonly #callers = new Map<string, Caller>();
  readonly #users = new Map<string, number>();
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

  /** @throws Throttled, Overloaded; both say when to try again */
  enter(address: string | undefined): Place {
    const caller = address === undefined ? undefined : this.#caller(addressKey(address));
    if (caller) this.#checkCaller(caller);
    this.#checkProcess();
    if (caller) caller.connections += 1;
    this.#connections += 1;
    return this.#place(caller);
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

  #place(caller: Caller | undefined): Place {
    let taken: string | undefined;
    let isLeft = false;
    const returnTo = (user: string | undefined): void => {
      if (isLeft || user === taken) return;
      if (taken !== undefined) this.#countUser(taken, -1);
      if (user !== undefined) this.#countUser(user, 1);
      taken = user;
    };
    return {
      takeFor: (user) => {
        if (!isLeft && user !== undefined && user !== taken) this.#checkUser(user);
        returnTo(user);
      },
      returnTo,
      leave: () => {
        if (isLeft) return;
        returnTo(undefined);
        isLeft = true;
        this.#connections -= 1;
        if (caller) caller.connections -= 1;
      },
    };
  }

  #checkUser(user: string): void {
    const { connectionsPerUser } = this.#parts.limits;
    if ((this.#users.get(user) ?? 0) < connectionsPerUser) return;
    const text = `There may be ${connectionsPerUser} connections of one user.`;
    this.#refuse('user_connections', new Throttled(text, { retryAfter: crowded }));
  }

  #countUser(user: string, change: 1 | -1): void {
    const connections = (this.#users.get(user) ?? 0) + change;
    if (connections === 0) this.#users.delete(user);
    else this.#users.set(user, connections);
  }

  #caller(key: string): Caller {
    const known = this.#callers.get(key);
    if (known) return known;
    this.#forgetIdle();
    const { addressHandshakesPerSecond, addressHandshakeBurst } = this.#parts.limits;
    const handshakes = new TokenBucket(addressHandshakesPerSecond, addressHandshakeBurst, this.#now());
    const caller = { sockets: 0, connections: 0, handshakes };
    this.#callers.set(key, caller);
    return caller;
  }

  /** At most once a second: a look at all of them costs. */
  #forgetIdle(): void {
    const now = this.#now();
    if (this.#callers.size < manyCallers || Math.abs(now - this.#forgottenAt) < 1_000) return;
    this.#forgottenAt = now;
    for (const [key, { sockets, connections, handshakes }] of this.#callers) {
      if (sockets + connections === 0 && handshakes.isFull(now)) this.#callers.delete(key);
    }
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
