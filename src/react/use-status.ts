import { useCallback, useSyncExternalStore } from 'react';
import type { ClientControls } from '../client/client-types.js';
import type { ConnectionStatus } from '../client/status.js';

/** The status of a client's connection: `'open'`, `'waiting'`, … */
export function useStatus(client: Pick<ClientControls, '$status' | '$onStatus'>): ConnectionStatus {
  const subscribe = useCallback((listener: () => void) => client.$onStatus(listener), [client]);
  const getStatus = () => client.$status;
  return useSyncExternalStore(subscribe, getStatus, getStatus);
}
