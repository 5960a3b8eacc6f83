import { createAlarm } from './alarm.js';
import type { Asked, CompleteOptions } from './client-options.js';
import { lostCode } from './close-codes.js';
import type { StatusReason } from './status.js';
import type { WebSocketLike } from './web-socket-like.js';

/** One attempt to connect, and the socket that it opens; it detects a dead socket. */
export interface Socket {
  /** Sends data. Returns whether it was sent; false before the socket is open. */
  send(data: string | Uint8Array): boolean;
  /** Asks the server for a frame, to see whether the connection is alive. */
  probe(): void;
  /** Closes the socket; none of its events are handled any more. */
  leave(): void;
}

/** @param ended called with whether another socket may succeed, if that does not depend on the close code */
export function openSocket(
  url: string | Asked<string>,
  options: CompleteOptions,
  opened: () => void,
  received: (data: unknown) => void,
  ended: (why: StatusReason, again?: boolean) => void,
): Socket {
  const { clock, protocols = [], heartbeat = 20_000, heartbeatTimeout = 10_000 } = options;
  const { WebSocket = globalThis.WebSocket } = options as { WebSocket: NonNullable<CompleteOptions['WebSocket']> };
  const alarm = createAlarm(clock);
  let socket: WebSocketLike | undefined;
  let isLeft = false;
  const probe = (): void => {
    socket?.send('{"action":"ping"}');
    alarm(() => ended({ code: lostCode, reason: 'timeout' }), heartbeatTimeout);
  };
  const watch = (): void => alarm(heartbeat && probe, heartbeat);
  const open = async (): Promise<void> => {
    let again = true;
    try {
      const address = await (typeof url === 'string' ? url : url());
      const bearer = await options.token?.();
      if (isLeft) return;
      // A url that is invalid now stays invalid.
      again = false;
      socket = new WebSocket(address, bearer ? ['signalbox', `bearer.${bearer}`, ...protocols] : [...protocols]);
      socket.binaryType = 'arraybuffer';
      socket.onerror = () => {};
      socket.onopen = () => {
        watch();
        opened();
      };
      socket.onmessage = ({ data }: { readonly data: unknown }) => {
        watch();
        received(data);
      };
      socket.onclose = ({ code, reason }: Required<StatusReason>) => ended({ code, reason });
    } catch (error) {
      if (!isLeft) ended({ error }, again);
    }
  };
  alarm(() => ended({ reason: 'timeout' }, true), options.connectTimeout ?? 10_000);
  queueMicrotask(open); // Not at once: the caller has to hold the socket before it can fail.
  return {
    probe,
    send(data) {
      const isOpen = socket?.readyState === 1;
      // The browser's types exclude shared memory; most programs' types do not.
      if (isOpen) socket?.send(data as string | Uint8Array<ArrayBuffer>);
      return isOpen;
    },
    leave() {
      isLeft = true;
      alarm();
      if (!socket) return;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
}
