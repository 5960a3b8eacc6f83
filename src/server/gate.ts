import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import type { HandshakeRequest } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import { ClientAddresses } from './client-address.js';
import { HandshakeLimits, type Place } from './handshake-limits.js';

export interface GateParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly counters: Counters;
}

export interface Entry {
  /** With the address of the client, where a trusted proxy told of it. */
  readonly from: HandshakeRequest;
  readonly place: Place;
}

/** What is before the handshake: where a request came from, and whether there is room for it. */
export class Gate {
  readonly #addresses: ClientAddresses;
  readonly #limits: HandshakeLimits;

  constructor({ settings, clock, counters }: GateParts) {
    this.#addresses = new ClientAddresses(settings.trustedProxies);
    this.#limits = new HandshakeLimits({ limits: settings.limits, clock, counters });
  }

  /**
   * A socket that says nothing yet. What comes from a trusted proxy is not counted: whose it is stands in its headers.
   *
   * @returns what ends that; undefined where its address has too many of them
   */
  knock(remoteAddress: string | undefined): (() => void) | undefined {
    const address = this.#addresses.ofClient(remoteAddress);
    return address === undefined ? () => {} : this.#limits.knock(address);
  }

  /** @throws Throttled, Overloaded */
  enter(request: HandshakeRequest): Entry {
    const remoteAddress = this.#addresses.of(request);
    const from = remoteAddress === undefined ? request : { ...request, remoteAddress };
    return { from, place: this.#limits.enter(remoteAddress) };
  }
}
