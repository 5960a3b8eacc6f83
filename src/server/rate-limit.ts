import { isIP } from 'node:net';
import type { UserSlot } from '../authentication/connection-registry.js';
import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { ActionNotFound, Overloaded, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Limits, Settings } from '../settings.js';
import { CloseCode } from '../status.js';

/** A rate per second, and a burst after a quiet time. */
export class TokenBucket {
  /** In how many milliseconds one token comes back, and all of them. */
  readonly #each: number;
  readonly #all: number;
  /** In how many milliseconds the bucket is full again. */
  #debt = 0;
  #at: number;

  /** @param now in milliseconds */
  constructor(perSecond: number, burst: number, now: number) {
    this.#each = 1_000 / perSecond;
    this.#all = this.#each * burst;
    this.#at = now;
  }

  /** Takes this many tokens, or none. @returns 0, or in how many milliseconds they will be there */
  take(count: number, now: number): number {
    this.#refill(now);
    const debt = this.#debt + count * this.#each;
    if (debt > this.#all) return Math.ceil(debt - this.#all);
    this.#debt = debt;
    return 0;
  }

  /** Whether nothing is remembered of what was taken. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#debt === 0;
  }

  /** A clock that was set back gives nothing, and takes nothing. */
  #refill(now: number): void {
    this.#debt = Math.max(0, this.#debt - Math.max(0, now - this.#at));
    this.#at = now;
  }
}

/** How a connection is closed that exceeds a limit again and again. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const throttledTooOften: Closing = { code: CloseCode.overloaded, reason: 'Too many messages.' };
const mistakenTooOften: Closing = { code: CloseCode.policy, reason: 'Too many errors.' };

/** Errors of a client that is broken, or looks for a weakness. */
const mistakes: ReadonlySet<string> = new Set([ParseError.code, ActionNotFound.code, StreamNotFound.code]);

/**
 * How much one connection may send. A frame above the rate is refused and has no effect; a connection that goes on, or sends
 * mistake upon mistake, is to be closed.
 */
export class MessageRates {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  /** Made at the first frame that is answered so: most clients make no mistakes. */
  #throttled: TokenBucket | undefined;
  #errors: TokenBucket | undefined;

  constructor(
    private readonly settings: Pick<Settings, 'maxPayload' | 'limits'>,
    private readonly counters: Counters,
    now: number,
  ) {
    const { maxPayload, limits } = settings;
    this.#messages = new TokenBucket(limits.messagesPerSecond, limits.messageBurst, now);
    // The largest frame that is accepted has to pass at some time.
    this.#bytes = new TokenBucket(limits.bytesPerSecond, Math.max(limits.bytesPerSecond, maxPayload), now);
  }

  /**
   * A frame of the client.
   *
   * @param user what all connections of its user may send
   * @param now in milliseconds
   * @returns how it is refused, if it is
   */
  refusal(bytes: number, user: TokenBucket | undefined, now: number): Throttled | undefined {
    const tooMany = this.#messages.take(1, now);
    if (tooMany > 0) return this.#refuse('messages', 'Too many messages.', tooMany);
    const tooMuch = this.#bytes.take(bytes, now);
    if (tooMuch > 0) return this.#refuse('bytes', 'Too many bytes.', tooMuch);
    const tooManyOfUser = user?.take(1, now) ?? 0;
    return tooManyOfUser > 0
      ? this.#refuse('user_messages', 'Too many messages of one user.', tooManyOfUser)
      : undefined;
  }

  /** An error was answered, or would have been. @returns how the connection is to be closed, if it is */
  closing(code: string, now: number): Closing | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.settings.limits;
    if (code === Throttled.code) {
      this.#throttled ??= new TokenBucket(throttledPerMinute / 60, throttledPerMinute, now);
      return this.#overflow('throttled', this.#throttled, throttledTooOften, now);
    }
    if (mistakes.has(code)) {
      this.#errors ??= new TokenBucket(errorsPerMinute / 60, errorsPerMinute, now);
      return this.#overflow('errors', this.#errors, mistakenTooOften, now);
    }
    return undefined;
  }

  #refuse(limit: string, text: string, retryAfter: number): Throttled {
    this.counters.increment('signalbox.limits_reached', { limit });
    return new Throttled(text, { retryAfter });
  }

  #overflow(limit: string, bucket: TokenBucket, closing: Closing, now: number): Closing | undefined {
    if (bucket.take(1, now) === 0) return undefined;
    this.counters.increment('signalbox.limits_reached', { limit });
    return closing;
  }
}

/** An address, as far as it is limited. */
export interface Caller {
  /** Those that have not asked for a handshake yet. */
  sockets: number;
  connections: number;
  /** Made at the first handshake. */
  handshakes: TokenBucket | undefined;
}

interface User {
  readonly name: string;
  connections: number;
  readonly messages: TokenBucket;
}

/** Suggested retry delay in milliseconds when a connection limit is reached; when a connection ends is not known. */
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
   * A socket that has not asked for anything yet. Once it does, or is gone, its caller has one less of them.
   *
   * @returns undefined where its address has too many of them
   */
  addSocket(address: string): Caller | undefined {
    const caller = this.#caller(addressKey(address));
    const { socketsPerAddress, connectionsPerAddress } = this.limits;
    if (caller.sockets >= Math.max(socketsPerAddress, connectionsPerAddress)) {
      this.#count('address_sockets');
      return undefined;
    }
    caller.sockets += 1;
    return caller;
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
    const remedy = 'Raise settings.limits.connectionsPerUser.';
    this.#refuse('user_connections', new Throttled(text, { retryAfter: retryDelay, remedy }));
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
      ({ sockets, connections, handshakes }, now) =>
        sockets + connections === 0 && (!handshakes || handshakes.isFull(now)),
    );
    const caller = { sockets: 0, connections: 0, handshakes: undefined };
    this.#callers.set(key, caller);
    return caller;
  }

  #checkCaller(caller: Caller, now: number): void {
    const { connectionsPerAddress, addressHandshakesPerSecond, addressHandshakeBurst } = this.limits;
    caller.handshakes ??= new TokenBucket(addressHandshakesPerSecond, addressHandshakeBurst, now);
    const wait = caller.handshakes.take(1, now);
    if (wait > 0) {
      const remedy = 'Raise settings.limits.addressHandshakesPerSecond or addressHandshakeBurst.';
      this.#refuse('address_handshakes', new Throttled('Too many handshakes.', { retryAfter: wait, remedy }));
    }
    if (caller.connections < connectionsPerAddress) return;
    const text = `There may be ${connectionsPerAddress} connections of one address.`;
    const remedy = 'Raise settings.limits.connectionsPerAddress.';
    this.#refuse('address_connections', new Throttled(text, { retryAfter: retryDelay, remedy }));
  }

  #checkProcess(now: number): void {
    if (this.#connections >= this.limits.connections) {
      const remedy = 'Raise settings.limits.connections.';
      this.#refuse('connections', new Overloaded(undefined, { retryAfter: retryDelay, remedy }));
    }
    const wait = this.#handshakes.take(1, now);
    if (wait > 0) {
      const remedy = 'Raise settings.limits.handshakesPerSecond.';
      this.#refuse('handshakes', new Overloaded('Too many handshakes.', { retryAfter: wait, remedy }));
    }
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
  /** What the connections of its user may send together; undefined where no user is logged in. */
  messages: TokenBucket | undefined;
  #user: User | undefined;
  #isLeft = false;

  constructor(
    private readonly limiter: ConnectionLimiter,
    private readonly caller: Caller | undefined,
  ) {}

  takeFor(name: string | undefined): void {
    if (!this.#isLeft && name !== undefined && name !== this.#user?.name) this.limiter.checkUser(name);
    this.returnTo(name);
  }

  returnTo(name: string | undefined): void {
    if (this.#isLeft || name === this.#user?.name) return;
    if (this.#user) this.#user.connections -= 1;
    this.#user = name === undefined ? undefined : this.limiter.user(name);
    if (this.#user) this.#user.connections += 1;
    this.messages = this.#user?.messages;
  }

  /** Once the connection is over. May be called twice. */
  leave(): void {
    if (this.#isLeft) return;
    this.returnTo(undefined);
    this.#isLeft = true;
    this.limiter.leave(this.caller);
  }
}

/** What limits of an address are counted by: a client that has one IPv6 address has the 2^64 beside it. */
export function addressKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%', 1).join('').toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  const groups = [...front, ...zeros, ...back].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
