/**
 * As much of a WebSocket as is used. Its listeners take `never`, so that any class with events of its own fits: the
 * browser's, that of `ws`.
 */
export interface WebSocketLike {
  /** 1 while it is open. */
  readonly readyState: number;
  /** Set to `arraybuffer`. */
  binaryType?: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  /** Called only while `readyState` is 1. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}
