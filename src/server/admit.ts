import type { LiveConnections, PendingHandshake } from '../authentication/live-connections.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { Admission, Handshake } from './handshake.js';

export interface AdmitParts {
  readonly handshake: Handshake;
  readonly live: LiveConnections;
  readonly disposer: ScopeDisposer;
}

/**
 * Shakes hands and opens, unless what the handshake has read was overtaken meanwhile: there is no moment between the last look
 * and the opening.
 *
 * @throws ApiError that refuses the handshake
 */
export async function admit<T>(
  { handshake, live, disposer }: AdmitParts,
  request: HandshakeRequest,
  prepare: ((scope: Scope) => void) | undefined,
  open: (admission: Admission, pending: PendingHandshake) => T,
): Promise<T> {
  const pending = live.begin();
  try {
    const admission = await handshake.admit(request, prepare);
    try {
      live.check(pending, admission.scope);
      return open(admission, pending);
    } catch (error) {
      await disposer.dispose(admission.scope);
      throw error;
    }
  } finally {
    live.ended(pending);
  }
}
