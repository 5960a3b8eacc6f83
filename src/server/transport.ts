/** The text of a frame; over a network as its bytes in UTF-8, which a frame that waits need not be decoded for. */
export type FrameText = string | Uint8Array;

/** One socket as the server needs it: WebSocket frames over a network, or arrays in a spec. */
export interface Transport {
  /** Bytes that were sent and have not left the process yet. */
  readonly unsent: number;
  /**
   * Sends frames, of text or binary, in one write; does nothing once the socket is closed. Returns whether their bytes have left
   * the process, or never will.
   *
   * @param left where they have not, called once they have; never where the socket ends first
   */
  send(frames: readonly (string | Uint8Array)[], left: () => void): boolean;
  /** Asks for a sign of life, which `onPong` tells of. A client answers the latest ping at least. */
  ping(mark?: string): void;
  /** Begins the closing handshake, behind what was sent. */
  close(code: number, reason: string): void;
  /** Reads nothing more from the network. Frames that were read already may still arrive. */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /** Cuts the socket without a handshake. */
  terminate(): void;
  /** Called once, before the first frame can arrive. */
  listen(listener: TransportListener): void;
}

/** What a transport calls: the server's end of one socket. */
export interface TransportListener {
  /** A whole text frame arrived. Frames come in the order in which they were sent. */
  onText(text: FrameText): void;
  /** A whole binary frame arrived. */
  onBinary(data: Uint8Array): void;
  /** @param mark that of the ping */
  onPong?(mark?: string): void;
  /** A ping or pong arrived, whose payload has this many bytes, and which the transport answers by itself. */
  onControl?(bytes: number): void;
  /** Bytes arrived after the end of the conversation, such as those behind a frame that is none. */
  onIgnored?(bytes: number): void;
  /** Called exactly once. */
  onClose(code: number): void;
}
