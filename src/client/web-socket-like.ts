/**
 * The part of a WebSocket that the client uses. Its listeners take `never`, so that any class with its own types of events fits: the
 * browser's, or that of `ws`.
 */
export interface WebSocketLike {
  /** 1 while the socket is open. */
  readonly readyState: number;
  /** The client sets it to `arraybuffer`. */
  binaryType?: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  /** Sends a frame. The client calls it only while `readyState` is 1. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}
