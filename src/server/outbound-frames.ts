import { setImmediate as nextTurn } from 'node:timers/promises';
import { CloseCode } from '../status.js';
import type { Backpressure, OutboundBacklog, SlowReason } from './backpressure.js';
import { type Frame, type Latest, OutboundQueue } from './outbound-queue.js';
import type { Transport } from './transport.js';

/** Bytes handed to the socket ahead of the client's reads; the rest waits in our queue, where it is counted. */
const window = 65_536;

/** Characters of one turn of the event loop that are held back to leave in one write; more are written at once. */
const longestWrite = 16_384;

/** The number of frames that a sender may ask for without a turn of the event loop, which alone shows that a client has disconnected. */
const longestRun = 64;

/** Resolves when no more than these bytes are pending. */
interface Waiter {
  readonly level: number;
  readonly resolve: () => void;
}

/**
 * The outbound frames of one socket. Frames of one turn of the event loop leave in one write. A client that does not read makes its own
 * requests wait and, above the limits, loses its connection; it neither holds up other clients nor fills the memory of the process.
 */
export class OutboundFrames implements OutboundBacklog {
  /** Made if a client reads slowly. */
  #queue: OutboundQueue | undefined;
  /** Frames of this turn that are not yet handed to the socket. */
  #tick: Frame[] = [];
  #tickLength = 0;
  /** When each write that has not left the process was handed to the socket. */
  readonly #leaving: number[] = [];
  #waiters: Waiter[] | undefined;
  /** Whether more than one write was needed within this turn. */
  #hasWritten = false;
  #isFilling = false;
  #isClosing = false;
  #isOver = false;
  /** How often a sender asked whether to send more. */
  #asked = 0;
  /** The number of sent frames. */
  sent = 0;

  constructor(
    private readonly transport: Transport,
    private readonly backpressure: Backpressure,
  ) {}

  /** Bytes that have not left the process. */
  get pending(): number {
    return (this.#queue?.bytes ?? 0) + this.#tickLength + this.transport.unsent;
  }

  /** Whether everything that was sent has left. */
  get isIdle(): boolean {
    return this.#leaving.length === 0 && this.#tick.length === 0 && !this.#hasWritten && this.#isQueueEmpty;
  }

  get oldest(): number | undefined {
    return this.#leaving[0] ?? this.#queue?.oldest;
  }

  /** @param body the longest part of the text, if other frames share it */
  send(text: string, latest?: Latest, body?: string): void {
    this.#send({ data: text, latest, body });
  }

  sendBinary(data: Uint8Array): void {
    this.#send({ data });
  }

  /** Resolves when the client has read enough to be sent more, or has disconnected; undefined if it already has. */
  ready(): Promise<void> | undefined {
    const { softLimit } = this.backpressure.settings;
    this.#asked += 1;
    if (this.isIdle && this.#asked % longestRun !== 0) return undefined;
    const mustTurn = this.#hasWritten || this.#asked % longestRun === 0;
    return mustTurn ? this.#fallenInTurn(softLimit) : this.#fallenTo(softLimit);
  }

  /** Resolves when everything has left the process, or the client has disconnected. */
  async flushed(): Promise<void> {
    this.flush();
    await this.#fallenTo(0);
  }

  /** Closes after the waiting frames are sent. */
  close(code: number, reason: string): void {
    this.#isClosing = true;
    this.flush();
    this.backpressure.grow(-this.#held);
    for (let frame = this.#queue?.shift(); frame; frame = this.#queue?.shift()) this.#write([frame], frame.at);
    this.transport.close(code, reason);
  }

  /** Called when the socket is closed. */
  end(): void {
    this.#isOver = true;
    this.backpressure.grow(-this.#held);
    this.#queue?.clear();
    this.#tick = [];
    this.#tickLength = 0;
    this.#leaving.length = 0;
    this.backpressure.forget(this);
    for (const { resolve } of this.#waiters ?? []) resolve();
    this.#waiters = undefined;
  }

  /** Ends a client that reads too slowly. The close code comes after the frames that it does not read, so its socket is cut as well. */
  cut(reason: SlowReason): void {
    if (this.#isOver) return;
    this.backpressure.noteCut(reason, this.pending);
    this.end();
    this.transport.close(CloseCode.slowReader, 'The client reads too slowly.');
    this.backpressure.afterClose(() => this.transport.terminate());
  }

  /** Hands the frames of this turn to the socket. */
  flush(): void {
    this.#hasWritten = false;
    this.#writeTick();
  }

  #send(frame: Frame): void {
    if (this.#isOver || this.#isClosing) return;
    this.sent += 1;
    const unsent = this.#leaving.length === 0 ? 0 : this.transport.unsent;
    if (!this.#isQueueEmpty || this.#tickLength + unsent >= window) {
      this.#wait(frame);
      return;
    }
    if (this.#tick.length === 0 && !this.#hasWritten) this.backpressure.flushLater(this);
    this.#tick.push(frame);
    this.#tickLength += frame.data.length;
    if (this.#tickLength <= longestWrite) return;
    this.#hasWritten = true;
    this.#writeTick();
  }

  #writeTick(): void {
    const frames = this.#tick;
    if (frames.length === 0) return;
    this.#tick = [];
    this.#tickLength = 0;
    this.#write(frames);
  }

  /** @param at since when they wait; absent for those that have not waited until now */
  #write(frames: readonly Frame[], at?: number): void {
    if (this.transport.send(frames.map(dataOf), this.#left)) {
      this.#settle();
      return;
    }
    this.#leaving.push(at ?? this.backpressure.now());
    this.backpressure.watch(this);
  }

  #wait(frame: Frame): void {
    const { sizes, settings } = this.backpressure;
    const before = this.#held;
    this.#queue ??= new OutboundQueue();
    if (!(this.pending > settings.softLimit && this.#queue.conflate(frame, sizes))) {
      const bytes = sizes.of(frame.data, frame.body);
      if (this.pending + bytes > settings.hardLimit) {
        this.cut('size');
        return;
      }
      this.#queue.push({ ...frame, bytes, at: this.backpressure.now() });
    }
    this.backpressure.grow(this.#held - before);
  }

  get #isQueueEmpty(): boolean {
    return this.#queue?.isEmpty ?? true;
  }

  /** Bytes that wait here, and bytes that its socket holds. */
  get #held(): number {
    return this.#queue && !this.#queue.isEmpty ? this.#queue.bytes + window : 0;
  }

  readonly #left = (): void => {
    // An array keeps its capacity until it is emptied, and most connections have nothing to send.
    if (this.#leaving.length > 1) this.#leaving.shift();
    else this.#leaving.length = 0;
    this.#settle();
  };

  /** Called when bytes have left the process. */
  #settle(): void {
    if (this.#queue && !this.#queue.isEmpty) this.#fill(this.#queue);
    if (this.#waiters) this.#wake(this.#waiters);
  }

  #wake(waiters: readonly Waiter[]): void {
    this.#waiters = undefined;
    for (const waiter of waiters) {
      if (this.pending > waiter.level) this.#waitFor(waiter);
      else waiter.resolve();
    }
  }

  /** Hands waiting frames to the socket. A frame may leave at once, which calls this again from within. */
  #fill(queue: OutboundQueue): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    while (!queue.isEmpty && this.transport.unsent < window) this.#handNext(queue);
    this.#isFilling = false;
  }

  #handNext(queue: OutboundQueue): void {
    const before = this.#held;
    const frame = queue.shift();
    if (!frame) return;
    this.backpressure.grow(this.#held - before);
    this.#write([frame], frame.at);
  }

  /**
   * Waits for the pending bytes to fall. If the network always takes more, it still lets the event loop turn now and then, for the sake of
   * other work.
   */
  async #fallenInTurn(level: number): Promise<void> {
    await nextTurn();
    await this.#fallenTo(level);
  }

  #fallenTo(level: number): Promise<void> | undefined {
    if (this.#isOver || this.pending <= level) return undefined;
    return new Promise((resolve) => this.#waitFor({ level, resolve }));
  }

  #waitFor(waiter: Waiter): void {
    this.#waiters ??= [];
    this.#waiters.push(waiter);
  }
}

function dataOf({ data }: Frame): string | Uint8Array {
  return data;
}
