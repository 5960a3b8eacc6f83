import type { Exchange } from '../dispatch/exchange.js';
import { Revoked } from '../errors.js';
import type { Subscriptions } from '../observers/subscriptions.js';
import { origin } from '../signals/origin.js';
import { CloseCode } from '../status.js';
import { errorReply } from '../wire/codec.js';
import type { ApiConsumer } from './api-consumer.js';
import type { HookRunner } from './hook-runner.js';
import type { ConsumerSocket, Reach } from './reach.js';
import type { Requests } from './requests.js';

export interface UserChangeParts {
  readonly consumer: ApiConsumer;
  /** Runs in line with the requests; never rejects. */
  readonly inLine: (work: () => Promise<void> | void) => Promise<void>;
  readonly subscriptions: Subscriptions;
  readonly socket: ConsumerSocket;
  /** Ends the socket, or this stream of it, once the request under way is answered. */
  readonly close: (code: number, reason: string) => void;
  /** The groups that every user of the consumer is in. */
  readonly groups: readonly string[];
}

/** What else the consumer has. */
export interface Leaving {
  readonly hooks: HookRunner;
  readonly requests: Requests;
  readonly reach: Reach;
}

/**
 * What one user leaves behind in a consumer when another takes over the socket. Groups may be named after users, so that no
 * permission would tell whose they are: all subscriptions end, whoever may follow them.
 */
export class UserChange {
  readonly #parts: UserChangeParts;
  readonly #leaving: Leaving;
  /** Requests that run for somebody who is not there any more. */
  #former: WeakSet<Exchange> | undefined;

  constructor(parts: UserChangeParts, leaving: Leaving) {
    this.#parts = parts;
    this.#leaving = leaving;
  }

  /** Tells the consumer once the request under way is answered. Never rejects. */
  async run(): Promise<void> {
    const { inLine, consumer, close } = this.#parts;
    const { requests, hooks } = this.#leaving;
    const own = this.requestUnderWay;
    for (const exchange of requests.started) if (exchange !== own) this.#leaveBehind(exchange);
    if (await hooks.runUnheard('user', () => this.#leave())) void inLine(() => consumer['onUserChange']());
    // Whatever still comes through a group that could not be left is the former user's.
    else close(CloseCode.serverError, 'The user could not be changed.');
  }

  /** Ends all subscriptions, and tells the client so, once for each request id. Never rejects. */
  async revoke(): Promise<void> {
    await this.#leaving.hooks.runUnheard('revoke', () => this.#revokeAll());
  }

  get requestsUnderWay(): readonly Exchange[] {
    return this.#leaving.requests.started;
  }

  /** The request of this consumer that the running code works for. */
  get requestUnderWay(): Exchange | undefined {
    return this.#leaving.requests.findOpen(origin.getStore());
  }

  /** The same. @throws Revoked where it is one of the former user's, which must not subscribe for the new one */
  requireCurrent(): Exchange | undefined {
    const exchange = this.requestUnderWay;
    if (exchange && this.#former?.has(exchange)) throw new Revoked();
    return exchange;
  }

  /** One that may go on for an hour would show the former user's things to the new one. */
  #leaveBehind(exchange: Exchange): void {
    this.#former ??= new WeakSet();
    this.#former.add(exchange);
    if (exchange.isDetached) exchange.abort(new Revoked('Whoever asked for this is not logged in any more.'));
  }

  async #leave(): Promise<void> {
    const { groups } = this.#parts;
    const { reach } = this.#leaving;
    const joined = reach.groups.filter((group) => !groups.includes(group));
    await Promise.all([this.#revokeAll(), ...joined.map((group) => reach.removeGroup(group))]);
  }

  async #revokeAll(): Promise<void> {
    const { subscriptions, socket } = this.#parts;
    const { requestIds, left } = subscriptions.endAll();
    for (const requestId of requestIds) socket.reply(errorReply(new Revoked(), { action: 'revoked', requestId }));
    await left;
  }
}
