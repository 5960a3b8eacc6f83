import type { LiveConnections, PendingHandshake } from '../authentication/live-connections.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { Gate } from './gate.js';
import type { Admission, Handshake } from './handshake.js';
import type { Place } from './handshake-limits.js';

export interface AdmitParts {
  readonly gate: Gate;
  readonly handshake: Handshake;
  readonly live: LiveConnections;
  readonly disposer: ScopeDisposer;
}

/** A handshake that was granted, for whose connection there is room. */
export interface AdmissionWithPlace extends Admission {
  readonly place: Place;
}

/**
 * Shakes hands and opens, unless what the handshake has read was overtaken meanwhile: there is no moment between the last look
 * and the opening.
 *
 * @throws ApiError that refuses the handshake
 */
export async function admit<T>(
  { gate, handshake, live, disposer }: AdmitParts,
  request: HandshakeRequest,
  prepare: ((scope: Scope) => void) | undefined,
  open: (admission: AdmissionWithPlace, pending: PendingHandshake) => T,
): Promise<T> {
  const { from, place } = gate.enter(request);
  const pending = live.begin();
  try {
    const admission = await handshake.admit(from, prepare);
    try {
      live.check(pending, admission.scope);
      place.takeFor(admission.scope.identity?.userId);
      return open({ ...admission, place }, pending);
    } catch (error) {
      await disposer.dispose(admission.scope);
      throw error;
    }
  } catch (error) {
    place.leave();
    throw error;
  } finally {
    live.ended(pending);
  }
}
