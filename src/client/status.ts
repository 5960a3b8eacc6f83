import { createEmitter, type Listen } from './emitter.js';
import { isOffline } from './wake-ups.js';

/**
 * - `idle`: there was no request yet (`lazy`)
 * - `connecting`, `open`
 * - `waiting`: the connection was lost; the client will reconnect by itself
 * - `offline`: as `waiting`, and the device reports that it has no network
 * - `unauthenticated`: the server closed with 4401, also after a fresh token
 * - `stopped`: the server closed with a code after which the client does not reconnect
 * - `closed`: the application called `$close()`
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

/** The reason for the status: how the last socket closed, or why none could be opened. */
export interface StatusReason {
  /** The close code of the last socket. */
  readonly code?: number;
  /** The server's close reason. */
  readonly reason?: string;
  /** The error of `url()`, of `token()` or of the socket's constructor. */
  readonly error?: unknown;
}

/** Called after each change of the status. */
export type StatusListener = (status: ConnectionStatus, why: StatusReason) => void;

/** The part of the client that shows the status. */
export interface StatusControls {
  readonly $status: ConnectionStatus;
  readonly $onStatus: Listen<Parameters<StatusListener>>;
}

/** @param then called after each change, before its listeners; with the status, if no further attempt follows */
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
