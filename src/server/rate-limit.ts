import type { UserSlot } from '../authentication/connection-registry.js';
import type { Clock } from '../clock.js';
import { ActionNotFound, Overloaded, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Limits } from '../settings.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';

/** A rate per second, and a burst after a quiet time. */
export class TokenBucket {
  /** In how many milliseconds one token comes back, and all of them. */
  readonly #each: number;
  readonly #all: number;
  /** In how many milliseconds the bucket is full again. */
  #debt = 0;
  #at: number;

  /**
   * @param now in milliseconds
   * @param longestDebt how many milliseconds what is charged may take to come back, beyond those of the burst
   */
  constructor(
    perSecond: number,
    burst: number,
    now: number,
    private readonly longestDebt = Number.POSITIVE_INFINITY,
  ) {
    this.#each = 1_000 / perSecond;
    this.#all = this.#each * burst;
    this.#at = now;
  }

  /** Takes this many tokens, or none. @returns 0, or in how many milliseconds they will be there */
  take(count: number, now: number): number {
    const wait = this.waitFor(count, now);
    if (wait === 0) this.charge(count, now);
    return wait;
  }

  /** @returns 0, or in how many milliseconds this many tokens will be there; more than the burst are there once it is full */
  waitFor(count: number, now: number): number {
    return this.#timeUntil(Math.min(count * this.#each, this.#all), now);
  }

  /** @returns in how many milliseconds this many tokens will have been there, if they are taken as they come */
  timeFor(count: number, now: number): number {
    return this.#timeUntil(count * this.#each, now);
  }

  /** Takes this many tokens, whether or not they are there. */
  charge(count: number, now: number): void {
    this.#refill(now);
    this.#debt = Math.min(this.#debt + count * this.#each, this.#all + this.longestDebt);
  }

  /** Whether nothing is remembered of what was taken. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#debt === 0;
  }

  /** @param debt in milliseconds, beside what there is */
  #timeUntil(debt: number, now: number): number {
    this.#refill(now);
    return Math.max(0, Math.ceil(this.#debt + debt - this.#all));
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

/** How often one connection may be answered with an error. One that goes on above its rate, or sends mistake upon mistake, is closed. */
export class ErrorRates {
  /** Made at the first frame that is answered so: most clients make no mistakes. */
  #throttled: TokenBucket | undefined;
  #errors: TokenBucket | undefined;

  constructor(
    private readonly limits: Limits,
    private readonly counters: Counters,
  ) {}

  /** An error was answered. @returns how the connection is to be closed, if it is */
  closing(code: string, now: number): Closing | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.limits;
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

  #overflow(limit: string, bucket: TokenBucket, closing: Closing, now: number): Closing | undefined {
    if (bucket.take(1, now) === 0) return undefined;
    this.counters.increment('signalbox.limits_reached', { limit });
    return closing;
  }
}

/** An address may send a twentieth of a second's worth at once; the rest is spread, so that others have their turns in between. */
const turnsPerSecond = 20;

/** Sockets of one address that are read again at one time: how much a client has sent shows only when it is read. */
const resumedAtOnce = 4;

/** What all connections of one address may send together. */
export class AddressRates {
  readonly #messages: TokenBucket;
  readonly bytes: TokenBucket;
  /** Connections that wait for these rates; a frame of another connection of the address waits behind them. */
  waiting = 0;
  #resumedAt = 0;
  #resumed = 0;

  /** @param now in milliseconds */
  constructor(limits: Limits, now: number) {
    const messages = Math.max(limits.addressMessagesPerSecond, limits.messagesPerSecond);
    const bytes = Math.max(limits.addressBytesPerSecond, limits.bytesPerSecond);
    // Other connections of the address wait less than their own may be paused.
    const longestDebt = limits.pauseTime / 2;
    this.#messages = new TokenBucket(messages, Math.max(1, messages / turnsPerSecond), now, longestDebt);
    this.bytes = new TokenBucket(bytes, Math.max(1, bytes / turnsPerSecond), now, longestDebt);
  }

  /** Which of them a frame would exceed. */
  exceeded(bytes: number, now: number): string | undefined {
    if (this.#messages.waitFor(1, now) > 0) return 'address_messages';
    return this.bytes.waitFor(bytes, now) > 0 ? 'address_bytes' : undefined;
  }

  charge(messages: number, bytes: number, now: number): void {
    this.#messages.charge(messages, now);
    this.bytes.charge(bytes, now);
  }

  /** Whether one more paused socket may be read again at this time; counts it. */
  mayResume(now: number): boolean {
    if (this.#resumedAt !== now) this.#resumed = 0;
    this.#resumedAt = now;
    this.#resumed += 1;
    return this.#resumed <= resumedAtOnce;
  }

  /** Whether nothing is remembered of what was sent. */
  isFull(now: number): boolean {
    return this.#messages.isFull(now) && this.bytes.isFull(now);
  }
}

/** What one connection may send beside the others of its address. A frame is taken from all of these rates, or from none. */
export class FrameRates {
  readonly messages: TokenBucket;
  readonly bytes: TokenBucket;
  #waitsForAddress = false;

  /**
   * @param maxPayload in bytes: the largest frame that is accepted has to pass at some time
   * @param now in milliseconds
   */
  constructor(
    { messagesPerSecond, messageBurst, bytesPerSecond }: Limits,
    maxPayload: number,
    private readonly address: AddressRates | undefined,
    now: number,
  ) {
    this.messages = new TokenBucket(messagesPerSecond, messageBurst, now);
    this.bytes = new TokenBucket(bytesPerSecond, Math.max(bytesPerSecond, maxPayload), now);
  }

  /**
   * Takes one frame.
   *
   * @param isTurn whether the frames before it have had their turn
   * @param other a limit of another kind that the frame is above
   * @returns the limit that it is above, where it was not taken
   */
  take(bytes: number, now: number, isTurn: boolean, other?: string): string | undefined {
    const limit = this.#exceeded(bytes, now) ?? other;
    const ofAddress = limit === undefined ? this.#exceededOfAddress(bytes, now, isTurn) : undefined;
    this.waitForAddress(ofAddress !== undefined);
    if (limit ?? ofAddress) return limit ?? ofAddress;
    this.charge(1, bytes, now);
    return undefined;
  }

  /** Takes what has come, whether or not it was allowed. */
  charge(messages: number, bytes: number, now: number): void {
    this.messages.charge(messages, now);
    this.bytes.charge(bytes, now);
    this.address?.charge(messages, bytes, now);
  }

  /** As `charge`, where the connection itself is not read any more. */
  chargeAddress(messages: number, bytes: number, now: number): void {
    this.address?.charge(messages, bytes, now);
  }

  /** Whether more has come than bytes may come. */
  hasTooManyBytes(now: number): boolean {
    return this.bytes.waitFor(1, now) > 0 || this.address?.exceeded(1, now) !== undefined;
  }

  /** Whether another frame would be let in, whatever it is. Counts a connection that is read again by it. */
  mayRead(now: number): boolean {
    if (this.#exceeded(1, now) !== undefined) return false;
    const isAddressReady = this.address?.exceeded(1, now) === undefined;
    this.waitForAddress(!isAddressReady);
    return isAddressReady && (this.address?.mayResume(now) ?? true);
  }

  /** @param waits whether frames of other connections of the address wait behind this one */
  waitForAddress(waits: boolean): void {
    if (!this.address || this.#waitsForAddress === waits) return;
    this.#waitsForAddress = waits;
    this.address.waiting += waits ? 1 : -1;
  }

  #exceeded(bytes: number, now: number): string | undefined {
    if (this.messages.waitFor(1, now) > 0) return 'messages';
    return this.bytes.waitFor(bytes, now) > 0 ? 'bytes' : undefined;
  }

  #exceededOfAddress(bytes: number, now: number, isTurn: boolean): string | undefined {
    const { address } = this;
    return address?.exceeded(bytes, now) ?? (address && !isTurn && address.waiting > 0 ? 'address' : undefined);
  }
}

/** An address, as far as it is limited. */
export interface Caller {
  connections: number;
  /** Made at the first handshake. */
  handshakes: TokenBucket | undefined;
  /** Made at the first frame. */
  rates: AddressRates | undefined;
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
 * Limits connections and handshakes. An address above its rate is refused before it takes anything of the limits of the process, and
 * every refusal comes before work that costs, such as authentication.
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

  now(): number {
    return this.clock.elapsed();
  }

  /** Number of addresses that are remembered. */
  get knownAddresses(): number {
    return this.#callers.size;
  }

  /** Number of users that are remembered. */
  get knownUsers(): number {
    return this.#users.size;
  }

  /**
   * A handshake begins.
   *
   * @param network what the limits of its address are counted by; undefined over a transport that has none
   * @throws Throttled, Overloaded; both say when to try again
   */
  enter(network: string | undefined): ConnectionSlot {
    const now = this.clock.elapsed();
    const caller = network === undefined ? undefined : this.#caller(network, now);
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
    const now = this.clock.elapsed();
    this.#forgetIdle(this.#users, now, ({ connections, messages }) => connections === 0 && messages.isFull(now));
    const { userMessagesPerSecond, userMessageBurst, messagesPerSecond, messageBurst } = this.limits;
    const rate = Math.max(userMessagesPerSecond, messagesPerSecond);
    const messages = new TokenBucket(rate, Math.max(userMessageBurst, messageBurst), now);
    const user = { name, connections: 0, messages };
    this.#users.set(name, user);
    return user;
  }

  /** What an address may send. Outlives its connections, like what a user may send. */
  rates(caller: Caller): AddressRates {
    caller.rates ??= new AddressRates(this.limits, this.clock.elapsed());
    return caller.rates;
  }

  #caller(key: string, now: number): Caller {
    const known = this.#callers.get(key);
    if (known) return known;
    this.#forgetIdle(
      this.#callers,
      now,
      ({ connections, handshakes, rates }) =>
        connections === 0 && (handshakes?.isFull(now) ?? true) && (rates?.isFull(now) ?? true),
    );
    const caller = { connections: 0, handshakes: undefined, rates: undefined };
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
  #forgetIdle<T>(known: Map<string, T>, now: number, isIdle: (one: T) => boolean): void {
    if (known.size < remembered || Math.abs(now - this.#forgottenAt) < 1_000) return;
    this.#forgottenAt = now;
    for (const [key, one] of known) if (isIdle(one)) known.delete(key);
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

  /** What the connections of its address may send together; undefined over a transport that has none. */
  get address(): AddressRates | undefined {
    return this.caller && this.limiter.rates(this.caller);
  }

  /**
   * Charges a frame that takes more work than its bytes suggest.
   *
   * @param bytes that would take as much, beside its own
   */
  chargeWork(bytes: number, now: number): void {
    this.address?.bytes.charge(bytes, now);
  }

  /** Whether others of its address have sent so much that this one has to wait. */
  get mustWait(): boolean {
    const rates = this.caller?.rates;
    return rates !== undefined && (rates.waiting > 0 || rates.exceeded(1, this.limiter.now()) !== undefined);
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
