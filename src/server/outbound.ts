import { setImmediate as nextTurn } from 'node:timers/promises';
import { CloseCode } from '../status.js';
import { type Frame, type Latest, OutboundQueue } from './outbound-queue.js';
import type { Backlog, OutboundTraffic, SlowReason } from './outbound-traffic.js';
import type { Transport, TransportListener } from './transport.js';

/** So much is handed to the socket before its client has read any of it; what is more waits here, where it is counted. */
const window = 65_536;

/** So much is held back at most to leave in one write: what the network takes at once need not wait for the end of the tick. */
const longestWrite = 16_384;

/** Only a turn of the event loop tells that a client is gone; so often somebody may ask for more without one. */
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
export class Outbound implements Backlog {
  readonly #transport: Transport;
  readonly #traffic: OutboundTraffic;
  readonly #queue = new OutboundQueue();
  /** When the frames were handed over that have not left the process. */
  readonly #leaving: number[] = [];
  #waiters: Waiter[] = [];
  #isCorked = false;
  /** Within this tick, more than one write takes. */
  #hasWritten = false;
  #isFilling = false;
  #isClosing = false;
  #isOver = false;
  #sent = 0;
  /** How often somebody asked whether to send more. */
  #asked = 0;

  constructor(transport: Transport, traffic: OutboundTraffic) {
    this.#transport = transport;
    this.#traffic = traffic;
  }

  /** Frames so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Bytes that have not left the process. */
  get pending(): number {
    return this.#queue.bytes + this.#transport.unsent;
  }

  /** Since when the oldest frame waits, in milliseconds; undefined where none does. */
  get oldest(): number | undefined {
    return this.#leaving[0] ?? this.#queue.oldest;
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
    const { softLimit } = this.#traffic.settings;
    this.#asked += 1;
    const mustTurn = this.#hasWritten || this.#asked % longestRun === 0;
    return mustTurn ? this.#fallenInTurn(softLimit) : this.#fallenTo(softLimit);
  }

  /** Resolves once everything has left the process, or the client is gone. */
  async flushed(): Promise<void> {
    await this.#fallenTo(0);
  }

  ping(mark?: string): void {
    this.#transport.ping(mark);
  }

  /** What waits is sent before. */
  close(code: number, reason: string): void {
    this.#isClosing = true;
    this.#traffic.grow(-this.#held);
    for (let frame = this.#queue.shift(); frame; frame = this.#queue.shift()) this.#hand(frame, frame.at);
    this.#transport.close(code, reason);
  }

  terminate(): void {
    this.#transport.terminate();
  }

  listen(listener: TransportListener): void {
    this.#transport.listen(listener);
  }

  /** The socket is closed. */
  end(): void {
    this.#isOver = true;
    this.#traffic.grow(-this.#held);
    this.#queue.clear();
    this.#leaving.length = 0;
    this.#traffic.forget(this);
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters = [];
  }

  uncork(): void {
    this.#isCorked = false;
    this.#hasWritten = false;
    this.#transport.uncork();
  }

  /** Ends a client that reads too slowly. Its close code stands behind what it does not read, so its socket is cut as well. */
  cut(reason: SlowReason): void {
    if (this.#isOver) return;
    this.#traffic.noteCut(reason, this.pending);
    this.end();
    this.#transport.close(CloseCode.slowReader, 'The client reads too slowly.');
    this.#traffic.later(() => this.#transport.terminate());
  }

  #send(frame: Frame): void {
    if (this.#isOver || this.#isClosing) return;
    this.#sent += 1;
    if (this.#queue.isEmpty && this.#transport.unsent < window) this.#hand(frame, this.#traffic.now());
    else this.#wait(frame);
  }

  #hand({ data }: Frame, at: number): void {
    this.#cork();
    this.#leaving.push(at);
    if (typeof data === 'string') this.#transport.send(data, this.#left);
    else this.#transport.sendBinary(data, this.#left);
    if (this.#transport.unsent > longestWrite && this.#isCorked) this.#writeNow();
    if (this.#leaving.length > 0) this.#traffic.watch(this);
  }

  #wait(frame: Frame): void {
    const { sizes } = this.#traffic;
    const { softLimit, hardLimit } = this.#traffic.settings;
    const before = this.#held;
    if (!(this.pending > softLimit && this.#queue.conflate(frame, sizes))) {
      const bytes = sizes.of(frame.data, frame.body);
      if (this.pending + bytes > hardLimit) {
        this.cut('size');
        return;
      }
      this.#queue.push({ ...frame, bytes, at: this.#traffic.now() });
    }
    this.#traffic.grow(this.#held - before);
  }

  /** What waits here, and what its socket was handed before, as much as that takes. */
  get #held(): number {
    return this.#queue.isEmpty ? 0 : this.#queue.bytes + window;
  }

  readonly #left = (): void => {
    // The room of an array stays with it until it is cut to nothing, and most connections have nothing to send.
    if (this.#leaving.length > 1) this.#leaving.shift();
    else this.#leaving.length = 0;
    this.#fill();
    if (this.#waiters.length > 0) this.#wake();
  };

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.pending > waiter.level) this.#waiters.push(waiter);
      else waiter.resolve();
    }
  }

  /** What is handed over may leave at once, which would fill it again from within. */
  #fill(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    while (!this.#queue.isEmpty && this.#transport.unsent < window) this.#handNext();
    this.#isFilling = false;
  }

  #handNext(): void {
    const before = this.#held;
    const frame = this.#queue.shift();
    if (!frame) return;
    this.#traffic.grow(this.#held - before);
    this.#hand(frame, frame.at);
  }

  /** Whoever always has more to send would otherwise never let the event loop turn, for the network may always take it. */
  async #fallenInTurn(level: number): Promise<void> {
    await nextTurn();
    await this.#fallenTo(level);
  }

  #fallenTo(level: number): Promise<void> | undefined {
    if (this.#isOver || this.pending <= level) return undefined;
    return new Promise((resolve) => void this.#waiters.push({ level, resolve }));
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#transport.cork();
    this.#traffic.uncorkLater(this);
  }

  #writeNow(): void {
    this.#hasWritten = true;
    this.#transport.uncork();
    this.#transport.cork();
  }
}
