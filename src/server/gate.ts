import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { Settings } from '../settings.js';
import { ClientAddresses } from './client-address.js';
import type { Admission, Handshake } from './handshake.js';
import { HandshakeLimits } from './handshake-limits.js';

export interface GateParts {
  readonly handshake: Handshake;
  readonly disposer: ScopeDisposer;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly counters: Counters;
}

/** An admission that takes up a place until it is told that it is over. */
export interface PlacedAdmission extends Admission {
  /** May be called twice. */
  readonly leave: () => void;
}

/** What is before the handshake: where a request came from, and whether there is room for it. */
export class Gate {
  readonly #parts: GateParts;
  readonly #addresses: ClientAddresses;
  readonly #limits: HandshakeLimits;

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#addresses = new ClientAddresses(parts.settings.trustedProxies);
    this.#limits = new HandshakeLimits({ ...parts, limits: parts.settings.limits });
  }

  /** @throws ApiError whose status and sentence refuse the upgrade */
  async admit(request: HandshakeRequest, prepare?: (scope: Scope) => void): Promise<PlacedAdmission> {
    const { handshake, disposer } = this.#parts;
    const remoteAddress = this.#addresses.of(request);
    const from = remoteAddress === undefined ? request : { ...request, remoteAddress };
    const place = this.#limits.enter(remoteAddress);
    try {
      const admission = await handshake.admit(from, prepare);
      try {
        place.takeFor(admission.scope.identity?.userId);
        return { ...admission, leave: place.leave };
      } catch (error) {
        await disposer.dispose(admission.scope);
        throw error;
      }
    } catch (error) {
      place.leave();
      throw error;
    }
  }
}
