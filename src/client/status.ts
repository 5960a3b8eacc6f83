import { createEmitter, type Listen } from './emitter.js';
import { isOffline } from './wake-ups.js';

/**
 * - `idle`: nothing was asked for yet (`lazy`)
 * - `connecting`, `open`
 * - `waiting`: it was lost, and is tried again by itself
 * - `offline`: as `waiting`, and the device says that it has no network
 * - `unauthenticated`: the server closed with 4401, also after a fresh token
 * - `stopped`: the server closed with a code after which it is not tried again
 * - `closed`: by `$close()`
 */
export type ConnectionStatus =
  | 'idle'
  | 'connecting'
  | 'open'
  | 'waiting'
  | 'offline'
  | 'unauthenticated'
  | 'stopped'
  | 'closed';

/** Why the status is what it is: how the last socket closed, or what stood in the way of one. */
export interface StatusReason {
  /** The close code of the last socket. */
  readonly code?: number;
  /** The sentence that the server closed it with. */
  readonly reason?: string;
  /** What `url()` or `token()` threw, or the constructor of the socket. */
  readonly error?: unknown;
}

/** Called after each change of the status. */
export type StatusListener = (status: ConnectionStatus, why: StatusReason) => void;

/** What a page sees of the status. */
export interface StatusControls {
  readonly $status: ConnectionStatus;
  readonly $onStatus: Listen<Parameters<StatusListener>>;
}

/** @param then called after each change, before its listeners; with a status in which nothing more is tried */
export function createStatus(
  then: (stop?: ConnectionStatus) => void,
): readonly [StatusControls, change: (next: ConnectionStatus, why: StatusReason, stop?: ConnectionStatus) => void] {
  const [$onStatus, tell] = createEmitter<Parameters<StatusListener>>();
  let status: ConnectionStatus = 'idle';
  const controls: StatusControls = {
    get $status() {
      return status === 'waiting' && isOffline() ? 'offline' : status;
    },
    $onStatus,
  };
  const change = (next: ConnectionStatus, why: StatusReason, stop?: ConnectionStatus): void => {
    status = next;
    then(stop);
    tell(controls.$status, why);
  };
  return [controls, change];
}
