import { createAlarm } from './alarm.js';
import type { Asked, CompleteOptions } from './client-options.js';
import { createReconnection } from './reconnection.js';
import { openSocket, type Socket } from './socket.js';
import { type ConnectionStatus, createStatus, type StatusReason } from './status.js';
import { onWakeUp } from './wake-ups.js';

/**
 * Makes a connection that reconnects, with one socket after the other.
 *
 * @param renewed called when there is another socket, or none; with the status if no further attempt follows
 * @returns the controls of its owner, a function that sends a frame and returns whether it was sent, and the callback for a drain
 */
export function createConnection(
  url: string | Asked<string>,
  options: CompleteOptions,
  received: (data: unknown) => void,
  renewed: (stop?: ConnectionStatus) => void,
) {
  const [controls, change] = createStatus(renewed);
  const [next, forget] = createReconnection(options);
  const alarm = createAlarm(options.clock);
  const life = new AbortController();
  let socket: Socket | undefined;
  let drainDelay: number | null | undefined;

  /** Leaves the socket, or the wait for one. It calls listeners last, because they may change the status again. `closed` is final. */
  const leave = (status: ConnectionStatus, why: StatusReason, begin?: () => void): void => {
    if (controls.$status === 'closed') return;
    alarm();
    socket?.leave();
    socket = drainDelay = undefined;
    begin?.();
    change(status, why, begin ? undefined : status);
  };
  const opened = (): void => {
    alarm(forget, options.healthyAfter ?? 30_000);
    change('open', {});
  };
  const ended = (why: StatusReason, again?: boolean): void => {
    const then = next(why, again);
    if (typeof then === 'string') leave(then, why);
    else {
      const delay = drainDelay ?? then;
      leave('waiting', why, () => alarm(connect, delay));
    }
  };
  const connect = (): void => {
    const begin = (): void => {
      socket = openSocket(url, options, opened, received, ended);
    };
    leave('connecting', {}, begin);
  };
  const send = (data: string | Uint8Array): boolean => {
    if (controls.$status === 'idle') connect();
    return drainDelay === undefined && !!socket?.send(data);
  };
  const drain = (delay: number | null = null): void => {
    drainDelay = delay;
  };
  const close = (): void => {
    life.abort();
    leave('closed', {});
  };
  onWakeUp(() => {
    const wake: { readonly [Status in ConnectionStatus]?: (() => void) | undefined } = {
      open: socket?.probe,
      waiting: connect,
      offline: () => change('waiting', {}),
    };
    wake[controls.$status]?.();
  }, life);
  return [Object.assign(controls, { $sendBinary: send, $reconnect: connect, $close: close }), send, drain] as const;
}
