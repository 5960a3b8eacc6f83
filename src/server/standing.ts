import type { LiveConnection } from '../authentication/live-connection.js';
import type { Order } from '../authentication/orders.js';
import type { Clock } from '../clock.js';
import type { Ceilings } from '../consumers/ceilings.js';
import type { ConsumerChannel } from '../consumers/consumer-channel.js';
import type { Counters } from '../counters.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import type { Exchange } from '../dispatch/exchange.js';
import { type ApiError, HandshakeTimedOut, PermissionDenied } from '../errors.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { Scope } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import { CloseCode, closeCodeOf, toReason } from '../status.js';
import type { AdmissionWithPlace } from './admit.js';
import type { Handshake } from './handshake.js';
import type { Place } from './handshake-limits.js';
import { settledWithin } from './settled-within.js';

export interface StandingParts {
  readonly handshake: Handshake;
  readonly unitOfWork: UnitOfWork;
  readonly errors: ErrorTranslator;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
}

/** The connection that stands so. */
export interface Standee {
  readonly channels: Map<string, ConsumerChannel>;
  readonly ceilings: Ceilings;
  drain(reason: ApiError): Promise<void>;
  close(code: number, reason: string): void;
}

/** Whose a connection is, and which of its streams that opens to them: both may change while it lives. */
export class Standing implements LiveConnection {
  readonly #admission: AdmissionWithPlace;
  readonly #standee: Standee;
  readonly #parts: StandingParts;
  #refused: ReadonlyMap<string, ApiError>;
  /** The orders since each request began that is under way. */
  #meanwhile: WeakMap<Exchange, Order[]> | undefined;
  #isEnding = false;
  #checking: Promise<void> | undefined;
  /** What came while the permissions are asked again. */
  readonly #held: (() => void)[] = [];
  /** The consumers of streams whose permission refused after a while. */
  readonly revoked: ConsumerChannel[] = [];

  constructor(admission: AdmissionWithPlace, standee: Standee, parts: StandingParts) {
    this.#admission = admission;
    this.#standee = standee;
    this.#parts = parts;
    this.#refused = admission.refused;
    this.#standee.ceilings.addWaiting(() => this.#held.length);
  }

  get scope(): Scope {
    return this.#admission.scope;
  }

  get place(): Place {
    return this.#admission.place;
  }

  /** @throws PermissionDenied for a stream that refuses to be connected to */
  check(stream: string): void {
    if (this.#refused.has(stream)) throw new PermissionDenied();
  }

  async end(reason: ApiError, code: number): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { settings, clock } = this.#parts;
    await settledWithin(this.#standee.drain(reason), settings.closeTimeout, clock);
    this.#standee.close(code, toReason(reason.message));
  }

  async changeUser(): Promise<void> {
    await Promise.all([...this.#standee.channels.values()].map((channel) => channel.userChange.run()));
  }

  /** What comes meanwhile waits for the answer. */
  recheck(): Promise<void> {
    const before = this.#checking ?? Promise.resolve();
    const checked = before
      .then(() => this.#recheck())
      .finally(() => {
        if (this.#checking !== checked) return;
        this.#checking = undefined;
        this.release();
      });
    this.#checking = checked;
    return checked;
  }

  /**
   * At once, unless the permissions are being asked again.
   *
   * @throws Throttled where as many requests wait as may
   */
  whenChecked(work: () => void): void {
    if (!this.#checking || this.#isEnding) {
      work();
      return;
    }
    this.#standee.ceilings.requireRequest(false);
    this.#held.push(work);
  }

  /** What waits for the answer goes on without it. */
  release(): void {
    for (const work of this.#held.splice(0)) work();
  }

  note(order: Order): void {
    for (const { userChange } of this.#standee.channels.values())
      for (const request of userChange.requestsUnderWay) this.#ordersSince(request).push(order);
  }

  ordersMeanwhile(): readonly Order[] {
    const request = this.#requestUnderWay;
    return request ? this.#ordersSince(request) : [];
  }

  afterRequest(work: (hasSucceeded: boolean) => void): void {
    const request = this.#requestUnderWay;
    if (request) request.whenEnded(work);
    else work(true);
  }

  get #requestUnderWay(): Exchange | undefined {
    const channels = [...this.#standee.channels.values()];
    const [request] = channels.flatMap(({ userChange }) => userChange.requestUnderWay ?? []);
    return request;
  }

  #ordersSince(request: Exchange): Order[] {
    this.#meanwhile ??= new WeakMap();
    const orders = this.#meanwhile.get(request) ?? [];
    this.#meanwhile.set(request, orders);
    return orders;
  }

  async #recheck(): Promise<void> {
    if (this.#isEnding) return;
    const { handshake, unitOfWork, errors, settings, clock } = this.#parts;
    const answer = unitOfWork.run(() => handshake.ask(this.#admission));
    if (!(await settledWithin(answer, settings.handshakeTimeLimit, clock))) {
      await this.#endUnanswered();
      return;
    }
    try {
      this.#refused = await answer;
    } catch (thrown) {
      const refusal = errors.translate(thrown, { path: this.scope.path });
      await this.end(refusal, closeCodeOf(refusal));
      return;
    }
    for (const [stream, refusal] of this.#refused) this.#revoke(stream, refusal);
  }

  async #endUnanswered(): Promise<void> {
    const { path } = this.scope;
    const { logger, counters } = this.#parts;
    counters.increment('signalbox.unchecked_connections', { asked: 'permissions' });
    logger.warn('The permissions to connect were not answered in time.', { path });
    await this.end(new HandshakeTimedOut('Your rights could not be checked in time.'), CloseCode.serverError);
  }

  /** Granted again, the stream gets another consumer. */
  #revoke(stream: string, refusal: ApiError): void {
    const { channels } = this.#standee;
    const channel = channels.get(stream);
    if (!channel) return;
    channels.delete(stream);
    this.revoked.push(channel);
    void channel.userChange.revoke();
    void channel.close(closeCodeOf(refusal), refusal);
  }
}
