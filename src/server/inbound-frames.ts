import type { Clock, Timer } from '../clock.js';
import type { Settings } from '../settings.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';
import { type ConnectionRates, type ConnectionSlot, connectionRates, FrameRates } from './rate-limit.js';
import type { FrameText, Transport } from './transport.js';

/** The part of a connection that its inbound frames need. */
export interface InboundConnection {
  readonly slot: ConnectionSlot;
  /** The limit of waiting frames that a binary frame would exceed; undefined if none. */
  limitOfBinary(data: Uint8Array): string | undefined;
  /** @param now by `Clock.elapsed` */
  handleText(text: FrameText, bytes: number, now: number): void;
  handleBinary(data: Uint8Array): void;
  /** Called when the socket is no longer read; meanwhile the client cannot answer a ping. */
  paused(): void;
  /** Called when the client broke a rule. */
  refuse(code: number, reason: string): void;
}

/** A frame that was read before the socket was paused. */
type KeptFrame =
  | { readonly isBinary: false; readonly data: FrameText; readonly bytes: number }
  | { readonly isBinary: true; readonly data: Uint8Array; readonly bytes: number };

/** Milliseconds between two checks of the paused connections. */
const lookInterval = 25;

/** All paused connections: one timer, and turns in the order in which they were paused. */
export class InboundFlow {
  readonly rates: ConnectionRates;
  readonly #paused = new Set<InboundFrames>();
  #timer: Timer | undefined;

  constructor(
    readonly settings: Pick<Settings, 'maxPayload' | 'limits'>,
    private readonly clock: Clock,
    private readonly counters: Counters,
  ) {
    this.rates = connectionRates(settings.limits, settings.maxPayload);
  }

  now(): number {
    return this.clock.elapsed();
  }

  add(frames: InboundFrames): void {
    this.#paused.add(frames);
    this.#timer ??= this.#lookLater();
  }

  delete(frames: InboundFrames): void {
    this.#paused.delete(frames);
  }

  noteLimit(limit: string): void {
    this.counters.increment('signalbox.limits_reached', { limit });
  }

  #lookLater(): Timer {
    return this.clock.after(lookInterval, () => this.#look());
  }

  #look(): void {
    const now = this.now();
    for (const frames of [...this.#paused]) {
      const wasServed = frames.takeTurn(now);
      // Connections behind it come first at the next check; otherwise the first connection would use up its address' rate.
      if (wasServed && this.#paused.delete(frames)) this.#paused.add(frames);
    }
    this.#timer = this.#paused.size > 0 ? this.#lookLater() : undefined;
  }
}

/**
 * The inbound frames of one socket. Below the rates, a frame is handled at once. Above them, the socket is paused: frames that were already
 * read wait here unparsed, the others in the kernel, where they cost nothing and TCP slows the client down.
 */
export class InboundFrames {
  readonly #rates: FrameRates;
  readonly #kept: KeptFrame[] = [];
  #pausedAt: number | undefined;
  #isClosing = false;

  constructor(
    private readonly connection: InboundConnection,
    private readonly transport: Transport,
    private readonly flow: InboundFlow,
  ) {
    this.#rates = new FrameRates(flow.rates, connection.slot.address, flow.now());
  }

  get isPaused(): boolean {
    return this.#pausedAt !== undefined;
  }

  receiveText(data: FrameText): void {
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (this.#isClosing) return;
    const now = this.flow.now();
    if (this.isPaused || !this.#admit(bytes, now)) this.#keep({ isBinary: false, data, bytes });
    else this.connection.handleText(data, bytes, now);
  }

  receiveBinary(data: Uint8Array): void {
    const bytes = data.byteLength;
    if (this.#isClosing) return;
    if (this.isPaused || !this.#admit(bytes, this.flow.now(), data)) this.#keep({ isBinary: true, data, bytes });
    else this.connection.handleBinary(data);
  }

  /** Counts a ping or pong, which the transport has answered. */
  receiveControl(bytes: number): void {
    if (this.#isClosing) return;
    const now = this.flow.now();
    this.#rates.charge(1, bytes, now);
    if (this.#rates.messages.waitFor(1, now) > 0) this.#pause('messages');
  }

  /** Counts bytes that came after the end of the conversation, and are no frames. */
  receiveIgnored(bytes: number): void {
    const now = this.flow.now();
    this.#rates.charge(0, bytes, now);
    if (this.#rates.hasTooManyBytes(now)) this.#pause('bytes');
  }

  /** Waits before the first read, because other connections of the address have sent too much. */
  waitForAddress(): void {
    this.#rates.waitForAddress(true);
    this.#pause('address');
  }

  /**
   * Handles waiting frames, as far as the rates allow, then resumes reading.
   *
   * @param now the time of the check, for all connections: work of their frames does not give them tokens within it
   * @returns whether a frame was handled
   */
  takeTurn(now: number): boolean {
    let wasServed = false;
    for (
      let next = this.#kept[0];
      next && this.#admit(next.bytes, now, next.isBinary ? next.data : undefined, true);
      next = this.#kept[0]
    ) {
      this.#kept.shift();
      wasServed = true;
      if (next.isBinary) this.connection.handleBinary(next.data);
      else this.connection.handleText(next.data, next.bytes, now);
    }
    if (this.#kept.length === 0 && this.#rates.mayRead(now)) this.#resume();
    else this.#checkPause(now);
    return wasServed;
  }

  /** Drops waiting frames. The rest is read as slowly as before, to find the client's close. */
  close(): void {
    this.#isClosing = true;
    let bytes = 0;
    for (const frame of this.#kept) bytes += frame.bytes;
    // Otherwise an address could have any number of frames read, by disconnecting before their turn.
    this.#rates.chargeAddress(this.#kept.length, bytes, this.flow.now());
    this.#kept.length = 0;
  }

  /** Called when the socket is closed. */
  end(): void {
    this.close();
    this.#rates.waitForAddress(false);
    this.flow.delete(this);
  }

  /**
   * Takes a frame from all rates, or from none. Requests above a user's rate are answered instead.
   *
   * @param binary its data, if it is binary
   * @param isTurn whether earlier frames have had their turn
   */
  #admit(bytes: number, now: number, binary?: Uint8Array, isTurn = false): boolean {
    const limit = this.#rates.take(bytes, now, isTurn, binary && this.#limitOfBinary(binary, now));
    if (limit !== undefined) {
      this.#pause(limit);
      return false;
    }
    if (binary) this.connection.slot.messages?.charge(1, now);
    return true;
  }

  #limitOfBinary(data: Uint8Array, now: number): string | undefined {
    if ((this.connection.slot.messages?.waitFor(1, now) ?? 0) > 0) return 'user_messages';
    return this.connection.limitOfBinary(data);
  }

  #keep(frame: KeptFrame): void {
    this.#kept.push(frame);
    // After they are handled, one more frame has to fit before the socket is read again.
    const time = this.#rates.messages.timeFor(this.#kept.length + 1, this.flow.now());
    if (time >= this.flow.settings.limits.pauseTime) this.#giveUp('kept_messages', 'Too many messages.');
  }

  #pause(limit: string): void {
    if (this.isPaused) return;
    this.#pausedAt = this.flow.now();
    this.flow.noteLimit(limit);
    this.transport.pause();
    this.connection.paused();
    this.flow.add(this);
  }

  #resume(): void {
    this.#pausedAt = undefined;
    this.flow.delete(this);
    this.transport.resume();
  }

  #checkPause(now: number): void {
    if (this.#isClosing || this.#pausedAt === undefined) return;
    if (now - this.#pausedAt >= this.flow.settings.limits.pauseTime) this.#giveUp('pause', 'Messages waited too long.');
  }

  #giveUp(limit: string, reason: string): void {
    this.flow.noteLimit(limit);
    this.connection.refuse(CloseCode.overloaded, reason);
  }
}
