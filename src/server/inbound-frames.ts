import { runDetached } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import type { Settings } from '../settings.js';
import { CloseCode } from '../status.js';
import type { Counters } from '../telemetry.js';
import { type ConnectionSlot, FrameRates } from './rate-limit.js';
import type { FrameText, Transport } from './transport.js';

/** A connection, as far as its frames are let in. */
export interface InboundConnection {
  readonly slot: ConnectionSlot;
  /** The limit of what waits in line that a binary frame would be above, if it is. */
  limitOfBinary(data: Uint8Array): string | undefined;
  /** @param now by `Clock.elapsed` */
  handleText(text: FrameText, bytes: number, now: number): void;
  handleBinary(data: Uint8Array): void;
  /** The socket is not read any more; the client cannot answer a ping meanwhile. */
  paused(): void;
  /** The client broke a rule. */
  refuse(code: number, reason: string): void;
}

/** A frame that was read before the socket was paused. */
type KeptFrame =
  | { readonly isBinary: false; readonly data: FrameText; readonly bytes: number }
  | { readonly isBinary: true; readonly data: Uint8Array; readonly bytes: number };

/** Milliseconds between two looks at the paused connections. */
const lookInterval = 25;

/** All connections that are paused: one timer, and turns in the order in which they were paused. */
export class InboundFlow {
  readonly #paused = new Set<InboundFrames>();
  #timer: Timer | undefined;

  constructor(
    readonly settings: Pick<Settings, 'maxPayload' | 'limits'>,
    private readonly clock: Clock,
    private readonly counters: Counters,
  ) {}

  now(): number {
    return this.clock.elapsed();
  }

  add(frames: InboundFrames): void {
    this.#paused.add(frames);
    // A timer keeps the async context in which it is made, and this one is for all.
    this.#timer ??= runDetached(() => this.#lookLater());
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
      // Those behind it come first at the next look; else the first connection would take all that its address may have.
      if (wasServed && this.#paused.delete(frames)) this.#paused.add(frames);
    }
    this.#timer = this.#paused.size > 0 ? this.#lookLater() : undefined;
  }
}

/**
 * What comes in through one socket. Below the rates a frame is handled at once. Above them the socket is paused: frames that were
 * read already wait here as they are, the others in the kernel, where they cost nothing and TCP slows the client down.
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
    const { maxPayload, limits } = flow.settings;
    this.#rates = new FrameRates(limits, maxPayload, connection.slot.address, flow.now());
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

  /** A ping or pong, which the transport has answered. */
  receiveControl(bytes: number): void {
    if (this.#isClosing) return;
    const now = this.flow.now();
    this.#rates.charge(1, bytes, now);
    if (this.#rates.messages.waitFor(1, now) > 0) this.#pause('messages');
  }

  /** Bytes that came after the end of the conversation, and are no frames any more. */
  receiveIgnored(bytes: number): void {
    const now = this.flow.now();
    this.#rates.charge(0, bytes, now);
    if (this.#rates.hasTooManyBytes(now)) this.#pause('bytes');
  }

  /** Reads nothing before there is room: others of the same address have sent too much. */
  waitForAddress(): void {
    this.#rates.waitForAddress(true);
    this.#pause('address');
  }

  /**
   * Handles what waits, as far as the rates allow by now, then reads on.
   *
   * @returns whether a frame was handled
   */
  takeTurn(now: number): boolean {
    let wasServed = false;
    for (
      let next = this.#kept[0];
      next && this.#admit(next.bytes, this.flow.now(), next.isBinary ? next.data : undefined, true);
      next = this.#kept[0]
    ) {
      this.#kept.shift();
      wasServed = true;
      if (next.isBinary) this.connection.handleBinary(next.data);
      else this.connection.handleText(next.data, next.bytes, this.flow.now());
    }
    if (this.#kept.length === 0 && this.#rates.mayRead(now)) this.#resume();
    else this.#checkPause(now);
    return wasServed;
  }

  /** What waits is dropped. The rest is read as slowly as before, to find the client's answer. */
  close(): void {
    this.#isClosing = true;
    let bytes = 0;
    for (const frame of this.#kept) bytes += frame.bytes;
    // Else an address could have any number of frames read, by leaving before their turn.
    this.#rates.chargeAddress(this.#kept.length, bytes, this.flow.now());
    this.#kept.length = 0;
  }

  /** The socket is closed. */
  end(): void {
    this.close();
    this.#rates.waitForAddress(false);
    this.flow.delete(this);
  }

  /**
   * Takes a frame from all rates, or from none. Requests above a user's rate are answered instead.
   *
   * @param binary its data, where it is binary
   * @param isTurn whether those before it have had theirs
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
    // Once they are handled, one more has to fit before the socket is read again.
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
