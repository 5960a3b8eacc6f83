import type { UserSlot } from '../authentication/connection-registry.js';
import type { Clock } from '../clock.js';
import { ActionNotFound, Overloaded, ParseError, StreamNotFound, Throttled } from '../errors.js';
import type { Limits } from '../settings.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';

/** A rate per second, with a burst after a quiet time. Buckets share it, because each connection has some. */
export class Rate {
  /** Milliseconds in which one token comes back, and in which all of them do. */
  readonly each: number;
  readonly all: number;

  /** @param longestDebt milliseconds that charged tokens may take to come back, beyond those of the burst */
  constructor(
    perSecond: number,
    burst: number,
    readonly longestDebt = Number.POSITIVE_INFINITY,
  ) {
    this.each = 1_000 / perSecond;
    this.all = this.each * burst;
  }
}

/** The tokens that are left of a rate. */
export class TokenBucket {
  /** Milliseconds until the bucket is full again. */
  #debt = 0;

  /** @param at the current time in milliseconds */
  constructor(
    private readonly rate: Rate,
    private at: number,
  ) {}

  /**
   * Takes this many tokens, or none.
   *
   * @returns 0, or the milliseconds until they are available
   */
  take(count: number, now: number): number {
    const wait = this.waitFor(count, now);
    if (wait === 0) this.charge(count, now);
    return wait;
  }

  /** @returns 0, or the milliseconds until this many tokens are available; more than the burst are available when the bucket is full */
  waitFor(count: number, now: number): number {
    const { each, all } = this.rate;
    return this.#timeUntil(Math.min(count * each, all), now);
  }

  /** @returns the milliseconds until this many tokens have been available, if they are taken as they come */
  timeFor(count: number, now: number): number {
    return this.#timeUntil(count * this.rate.each, now);
  }

  /** Takes this many tokens, whether or not they are available. */
  charge(count: number, now: number): void {
    const { each, all, longestDebt } = this.rate;
    this.#refill(now);
    this.#debt = Math.min(this.#debt + count * each, all + longestDebt);
  }

  /** Whether the bucket is full, so that it need not be kept. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#debt === 0;
  }

  /** @param debt in milliseconds, in addition to the current debt */
  #timeUntil(debt: number, now: number): number {
    this.#refill(now);
    return Math.max(0, Math.ceil(this.#debt + debt - this.rate.all));
  }

  /** Refills the bucket. An older time than the last one changes nothing: each millisecond is credited once. */
  #refill(now: number): void {
    if (now <= this.at) return;
    this.#debt = Math.max(0, this.#debt - (now - this.at));
    this.at = now;
  }
}

/** How a connection that keeps exceeding a limit is closed. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const throttledTooOften: Closing = { code: CloseCode.overloaded, reason: 'Too many messages.' };
const mistakenTooOften: Closing = { code: CloseCode.policy, reason: 'Too many errors.' };

/** Errors of a client that is broken, or searches for weaknesses. */
const mistakes: ReadonlySet<string> = new Set([ParseError.code, ActionNotFound.code, StreamNotFound.code]);

/** How often one connection may be answered with an error. A connection that stays above its rate, or repeats mistakes, is closed. */
export class ErrorRates {
  /** Made at the first throttled frame, because most clients make no mistakes. */
  #throttled: TokenBucket | undefined;
  #errors: TokenBucket | undefined;

  constructor(
    private readonly limits: Limits,
    private readonly counters: Counters,
  ) {}

  /**
   * Counts an error reply.
   *
   * @returns how the connection has to be closed; undefined if it may stay
   */
  closing(code: string, now: number): Closing | undefined {
    const { throttledPerMinute, errorsPerMinute } = this.limits;
    if (code === Throttled.code) {
      this.#throttled ??= new TokenBucket(new Rate(throttledPerMinute / 60, throttledPerMinute), now);
      return this.#overflow('throttled', this.#throttled, throttledTooOften, now);
    }
    if (mistakes.has(code)) {
      this.#errors ??= new TokenBucket(new Rate(errorsPerMinute / 60, errorsPerMinute), now);
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

/**
 * Divides a second's worth of an address: it may send one part at once, and the rest is spread, so that others have their turns in between.
 */
const turnsPerSecond = 20;

/** Sockets of one address that may be resumed at one time: only reading shows how much a client has sent. */
const resumedAtOnce = 4;

/** The rates that all connections of one address share. */
export class AddressRates {
  readonly #messages: TokenBucket;
  readonly bytes: TokenBucket;
  /** Connections that wait for these rates; a frame of another connection of the address waits after them. */
  waiting = 0;
  #resumedAt = 0;
  #resumed = 0;

  /** @param now in milliseconds */
  constructor(limits: Limits, now: number) {
    const messages = Math.max(limits.addressMessagesPerSecond, limits.messagesPerSecond);
    const bytes = Math.max(limits.addressBytesPerSecond, limits.bytesPerSecond);
    // Other connections of the address wait less time than their own pause may take.
    const longestDebt = limits.pauseTime / 2;
    const spread = (perSecond: number): Rate =>
      new Rate(perSecond, Math.max(1, perSecond / turnsPerSecond), longestDebt);
    this.#messages = new TokenBucket(spread(messages), now);
    this.bytes = new TokenBucket(spread(bytes), now);
  }

  /** The rate that a frame would exceed; undefined if none. */
  exceeded(bytes: number, now: number): string | undefined {
    if (this.#messages.waitFor(1, now) > 0) return 'address_messages';
    return this.bytes.waitFor(bytes, now) > 0 ? 'address_bytes' : undefined;
  }

  charge(messages: number, bytes: number, now: number): void {
    this.#messages.charge(messages, now);
    this.bytes.charge(bytes, now);
  }

  /** Whether one more paused socket may be resumed now; counts it. */
  mayResume(now: number): boolean {
    if (this.#resumedAt !== now) this.#resumed = 0;
    this.#resumedAt = now;
    this.#resumed += 1;
    return this.#resumed <= resumedAtOnce;
  }

  /** Whether the rates are full, so that they need not be kept. */
  isFull(now: number): boolean {
    return this.#messages.isFull(now) && this.bytes.isFull(now);
  }
}

/** The rates that every connection has for itself. */
export interface ConnectionRates {
  readonly messages: Rate;
  readonly bytes: Rate;
}

/** @param maxPayload in bytes: the largest accepted frame has to pass eventually */
export function connectionRates(
  { messagesPerSecond, messageBurst, bytesPerSecond }: Limits,
  maxPayload: number,
): ConnectionRates {
  return {
    messages: new Rate(messagesPerSecond, messageBurst),
    bytes: new Rate(bytesPerSecond, Math.max(bytesPerSecond, maxPayload)),
  };
}

/** The rates of one connection, with those of its address. A frame is taken from all of these rates, or from none. */
export class FrameRates {
  readonly messages: TokenBucket;
  readonly bytes: TokenBucket;
  #waitsForAddress = false;

  /** @param now in milliseconds */
  constructor(
    { messages, bytes }: ConnectionRates,
    private readonly address: AddressRates | undefined,
    now: number,
  ) {
    this.messages = new TokenBucket(messages, now);
    this.bytes = new TokenBucket(bytes, now);
  }

  /**
   * Takes one frame.
   *
   * @param isTurn whether earlier frames have had their turn
   * @param other a limit of another kind that the frame exceeds
   * @returns the limit that it exceeds, if it was not taken
   */
  take(bytes: number, now: number, isTurn: boolean, other?: string): string | undefined {
    const limit = this.#exceeded(bytes, now) ?? other;
    const ofAddress = limit === undefined ? this.#exceededOfAddress(bytes, now, isTurn) : undefined;
    this.waitForAddress(ofAddress !== undefined);
    if (limit ?? ofAddress) return limit ?? ofAddress;
    this.charge(1, bytes, now);
    return undefined;
  }

  /** Counts received frames and bytes, whether or not they were allowed. */
  charge(messages: number, bytes: number, now: number): void {
    this.messages.charge(messages, now);
    this.bytes.charge(bytes, now);
    this.address?.charge(messages, bytes, now);
  }

  /** Like `charge`, if the connection itself is no longer read. */
  chargeAddress(messages: number, bytes: number, now: number): void {
    this.address?.charge(messages, bytes, now);
  }

  /** Whether more bytes have come than allowed. */
  hasTooManyBytes(now: number): boolean {
    return this.bytes.waitFor(1, now) > 0 || this.address?.exceeded(1, now) !== undefined;
  }

  /** Whether any further frame would be allowed. Counts the connection as resumed. */
  mayRead(now: number): boolean {
    if (this.#exceeded(1, now) !== undefined) return false;
    const isAddressReady = this.address?.exceeded(1, now) === undefined;
    this.waitForAddress(!isAddressReady);
    return isAddressReady && (this.address?.mayResume(now) ?? true);
  }

  /** @param waits whether other connections' frames of the address wait after this one */
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

/** The limits of an address. */
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

/** Suggested retry delay in milliseconds when a connection limit is reached; when a connection will end is not known. */
const retryDelay = 10_000;

/** The number of remembered addresses, and of users, above which idle ones are forgotten. */
const remembered = 10_000;

/**
 * Limits connections and handshakes. An address above its rate is refused before it uses any of the process' limits, and both come before
 * costly work such as authentication. Only the limit of a user's connections comes after it, because the user has to be known.
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
    this.#handshakes = new TokenBucket(new Rate(handshakesPerSecond, handshakesPerSecond), clock.elapsed());
  }

  now(): number {
    return this.clock.elapsed();
  }

  /** The number of remembered addresses. */
  get knownAddresses(): number {
    return this.#callers.size;
  }

  /** The number of remembered users. */
  get knownUsers(): number {
    return this.#users.size;
  }

  /**
   * Counts a handshake that begins.
   *
   * @param network by which the limits of its address are counted; undefined over a transport without addresses
   * @throws Throttled, Overloaded; both have the time after which to try again
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

  /** Counts the end of a connection. */
  leave(caller: Caller | undefined): void {
    this.#connections -= 1;
    if (caller) caller.connections -= 1;
  }

  /** @throws Throttled if this user has as many connections as allowed */
  checkUser(name: string): void {
    const { connectionsPerUser } = this.limits;
    if ((this.#users.get(name)?.connections ?? 0) < connectionsPerUser) return;
    const text = `A user may have at most ${connectionsPerUser} connections.`;
    const remedy = 'Raise settings.limits.connectionsPerUser.';
    this.#refuse('user_connections', new Throttled(text, { retryAfter: retryDelay, remedy }));
  }

  /** The rates of a user. They outlive the user's connections, so that reconnecting does not renew them. */
  user(name: string): User {
    const known = this.#users.get(name);
    if (known) return known;
    const now = this.clock.elapsed();
    this.#forgetIdle(this.#users, now, ({ connections, messages }) => connections === 0 && messages.isFull(now));
    const { userMessagesPerSecond, userMessageBurst, messagesPerSecond, messageBurst } = this.limits;
    const rate = Math.max(userMessagesPerSecond, messagesPerSecond);
    const messages = new TokenBucket(new Rate(rate, Math.max(userMessageBurst, messageBurst)), now);
    const user = { name, connections: 0, messages };
    this.#users.set(name, user);
    return user;
  }

  /** The rates of an address. They outlive its connections, like those of a user. */
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
    caller.handshakes ??= new TokenBucket(new Rate(addressHandshakesPerSecond, addressHandshakeBurst), now);
    const wait = caller.handshakes.take(1, now);
    if (wait > 0) {
      const remedy = 'Raise settings.limits.addressHandshakesPerSecond or addressHandshakeBurst.';
      this.#refuse('address_handshakes', new Throttled('Too many handshakes.', { retryAfter: wait, remedy }));
    }
    if (caller.connections < connectionsPerAddress) return;
    const text = `An address may have at most ${connectionsPerAddress} connections.`;
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

  /** Forgets idle entries, at most once a second, because it reads all of them. */
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

/** The slot of one connection, from the first byte of its handshake to its end. */
export class ConnectionSlot implements UserSlot {
  /** The rate that the connections of its user share; undefined if no user is logged in. */
  messages: TokenBucket | undefined;
  #user: User | undefined;
  #isLeft = false;

  constructor(
    private readonly limiter: ConnectionLimiter,
    private readonly caller: Caller | undefined,
  ) {}

  /** The rates that the connections of its address share; undefined over a transport without addresses. */
  get address(): AddressRates | undefined {
    return this.caller && this.limiter.rates(this.caller);
  }

  /**
   * Charges a frame that takes more work than its bytes suggest.
   *
   * @param bytes that would take as much work, in addition to its own
   */
  chargeWork(bytes: number, now: number): void {
    this.address?.bytes.charge(bytes, now);
  }

  /** Whether its first read has to wait, because other connections of its address have sent too much. */
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

  /** Frees the slot after the connection's end. May be called twice. */
  leave(): void {
    if (this.#isLeft) return;
    this.returnTo(undefined);
    this.#isLeft = true;
    this.limiter.leave(this.caller);
  }
}
