/** The text of a frame. Over a network it is the UTF-8 bytes, so that a waiting frame need not be decoded. */
export type FrameText = string | Uint8Array;

/** One socket in the form that the server needs: WebSocket frames over a network, or arrays in a spec. */
export interface Transport {
  /** Bytes that were sent and have not left the process yet. */
  readonly unsent: number;
  /**
   * Sends text or binary frames in one write; does nothing after the socket has closed. Returns whether their bytes have left the process,
   * or never will.
   *
   * @param left called when they have left, if they had not before; never called if the socket closes first
   */
  send(frames: readonly (string | Uint8Array)[], left: () => void): boolean;
  /** Asks for a pong, which `onPong` reports. A client answers at least the latest ping. */
  ping(mark?: string): void;
  /** Begins the closing handshake, after the sent frames. */
  close(code: number, reason: string): void;
  /** Stops reading from the network. Frames that were already read may still arrive. */
  pause(): void;
  /** Resumes reading. */
  resume(): void;
  /** Cuts the socket without a handshake. */
  terminate(): void;
  /** Called once, before the first frame can arrive. */
  listen(listener: TransportListener): void;
}

/** Callbacks of a transport: the server's end of one socket. */
export interface TransportListener {
  /** Called with a whole text frame. Frames come in the order in which they were sent. */
  onText(text: FrameText): void;
  /** Called with a whole binary frame. */
  onBinary(data: Uint8Array): void;
  /**
   * Called with a pong.
   *
   * @param mark the mark of the ping
   * @param bytes of its payload
   */
  onPong?(mark?: string, bytes?: number): void;
  /** Called for a ping whose payload has this many bytes, and which the transport answers by itself. */
  onControl?(bytes: number): void;
  /** Called for bytes after the end of the conversation, such as those after an invalid frame. */
  onIgnored?(bytes: number): void;
  /** Called exactly once. */
  onClose(code: number): void;
}
