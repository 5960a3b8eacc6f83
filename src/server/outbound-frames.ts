import { setImmediate as nextTurn } from 'node:timers/promises';
import { CloseCode } from '../status.js';
import type { Backpressure, OutboundBacklog, SlowReason } from './backpressure.js';
import { type Frame, type Latest, OutboundQueue } from './outbound-queue.js';
import type { Transport } from './transport.js';

/** Bytes handed to the socket ahead of the client's reads; the rest waits in our queue, where it is counted. */
const window = 65_536;

/** Characters of one tick that are held back to leave in one write; what is above it is written at once. */
const longestWrite = 16_384;

/** Number of frames that a sender may ask for without a turn of the event loop: only such a turn shows that a client is gone. */
const longestRun = 64;

/** Resolves once no more bytes than these are pending. */
interface Waiter {
  readonly level: number;
  readonly resolve: () => void;
}

/**
 * What goes out through one socket. Frames of one tick leave in one write. A client that does not read makes its own requests
 * wait and, beyond the limits, loses its connection; it never holds up the others, nor takes the memory of the process.
 */
export class OutboundFrames implements OutboundBacklog {
  /** Made where a client reads slowly. */
  #queue: OutboundQueue | undefined;
  /** Frames of this tick, which are not handed to the socket yet. */
  #tick: Frame[] = [];
  #tickLength = 0;
  /** When each write was handed to the socket that has not left the process. */
  readonly #leaving: number[] = [];
  #waiters: Waiter[] | undefined;
  /** Within this tick, more than one write takes. */
  #hasWritten = false;
  #isFilling = false;
  #isClosing = false;
  #isOver = false;
  /** How often a sender asked whether to send more. */
  #asked = 0;
  /** Frames so far. */
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

  /** @param body the longest part of the text, where other frames have it as well */
  send(text: string, latest?: Latest, body?: string): void {
    this.#send({ data: text, latest, body });
  }

  sendBinary(data: Uint8Array): void {
    this.#send({ data });
  }

  /** Resolves once the client has read enough for more to be worth sending, or is gone; undefined where that is so. */
  ready(): Promise<void> | undefined {
    const { softLimit } = this.backpressure.settings;
    this.#asked += 1;
    if (this.isIdle && this.#asked % longestRun !== 0) return undefined;
    const mustTurn = this.#hasWritten || this.#asked % longestRun === 0;
    return mustTurn ? this.#fallenInTurn(softLimit) : this.#fallenTo(softLimit);
  }

  /** Resolves once everything has left the process, or the client is gone. */
  async flushed(): Promise<void> {
    this.flush();
    await this.#fallenTo(0);
  }

  /** What waits is sent before. */
  close(code: number, reason: string): void {
    this.#isClosing = true;
    this.flush();
    this.backpressure.grow(-this.#held);
    for (let frame = this.#queue?.shift(); frame; frame = this.#queue?.shift()) this.#write([frame], frame.at);
    this.transport.close(code, reason);
  }

  /** The socket is closed. */
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

  /** Ends a client that reads too slowly. Its close code stands behind what it does not read, so its socket is cut as well. */
  cut(reason: SlowReason): void {
    if (this.#isOver) return;
    this.backpressure.noteCut(reason, this.pending);
    this.end();
    this.transport.close(CloseCode.slowReader, 'The client reads too slowly.');
    this.backpressure.afterClose(() => this.transport.terminate());
  }

  /** Hands the frames of this tick to the socket. */
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

  /** What waits here, and what its socket was handed before, as much as that takes. */
  get #held(): number {
    return this.#queue && !this.#queue.isEmpty ? this.#queue.bytes + window : 0;
  }

  readonly #left = (): void => {
    // An array keeps its capacity until it is cut to nothing, and most connections have nothing to send.
    if (this.#leaving.length > 1) this.#leaving.shift();
    else this.#leaving.length = 0;
    this.#settle();
  };

  /** Bytes have left the process. */
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

  /** A frame that is handed over may leave at once, which would fill it again from within. */
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

  /** A sender that always has more to send would otherwise never let the event loop turn: the network may always take it. */
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
