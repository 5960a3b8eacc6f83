/**
 * The part of a WebSocket that the client uses. Its listeners take `never`, so that any class with its own types of events fits: the
 * browser's, or that of `ws`.
 */
export interface WebSocketLike {
  /** 1 while the socket is open. */
  readonly readyState: number;
  /** The client sets it to `arraybuffer`. */
  binaryType?: string;
  /** The client's listener for the open socket; null removes it. */
  onopen: ((event: never) => void) | null;
  /** The client's listener for frames: `event.data` is the text or the `ArrayBuffer`. */
  onmessage: ((event: never) => void) | null;
  /** The client's listener for the end of the socket: `event` has `code` and `reason`. */
  onclose: ((event: never) => void) | null;
  /** The client's listener for errors, which a close event follows. */
  onerror: ((event: never) => void) | null;
  /** Sends a frame. The client calls it only while `readyState` is 1. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Closes the socket, by default with the code 1000. */
  close(code?: number, reason?: string): void;
}
