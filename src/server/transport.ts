/** One socket as the server needs it: WebSocket frames over a network, or arrays in a spec. */
export interface Transport {
  /** Sends a text frame; does nothing once the socket is closed. */
  send(text: string): void;
  /** Sends a binary frame; likewise. */
  sendBinary(data: Uint8Array): void;
  /** Begins the closing handshake. */
  close(code: number, reason: string): void;
  /** Cuts the socket without a handshake. */
  terminate(): void;
  /** Called once, before the first frame can arrive. */
  listen(listener: TransportListener): void;
}

export interface TransportListener {
  onText(text: string): void;
  onBinary(data: Uint8Array): void;
  /** A ping or pong of so many bytes, which the transport answers by itself. */
  onControl?(bytes: number): void;
  /** Called exactly once. */
  onClose(code: number): void;
}
