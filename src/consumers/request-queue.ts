import { runDetached } from '../async-context.js';
import { Request } from '../dispatch/request.js';
import type { Quotas } from './quotas.js';

/** Work in line with the requests that is none itself: a hook, a message, a binary frame. */
interface QueuedWork {
  /** Never rejects. */
  readonly run: () => Promise<void>;
  readonly done: () => void;
  /**
   * Bytes of heap of what the client sent; undefined if it did not come from the client, and so does not count among its waiting requests.
   */
  readonly bytes: number | undefined;
}

/** The requests of one consumer, which run one after the other. Later requests do not wait for detached ones. */
export class RequestQueue {
  readonly #line: (Request | QueuedWork)[] = [];
  #running: Request | QueuedWork | undefined;
  #isDraining = false;
  /** Whether the consumer is ending, which waits only for running work. */
  isEnding = false;
  /** The work that the queue waits for. */
  #awaited: Promise<void> | undefined;
  /** The requests that are not settled, the oldest first: they wait, run, or continue after their answer. */
  readonly open: Request[] = [];

  /**
   * @param consumer runs the requests; the code that settles one calls `settled`
   * @param ownership while it is undecided who owns the connection, nothing begins
   */
  constructor(
    private readonly consumer: { start(request: Request): void },
    private readonly quotas: Quotas,
    private readonly ownership: { readonly settling: Promise<void> | undefined },
  ) {}

  add(request: Request): void {
    this.open.push(request);
    this.quotas.requestBytes += request.bytes;
    if (request.isDetached) this.quotas.detached += 1;
    else this.quotas.waiting += 1;
    this.#line.push(request);
    this.#drain();
  }

  /**
   * Resolves when the work, which never rejects, is done.
   *
   * @param bytes of heap, if the client has sent it
   */
  addWork(run: () => Promise<void>, bytes?: number): Promise<void> {
    return new Promise((done) => {
      if (bytes !== undefined) {
        this.quotas.waiting += 1;
        this.quotas.requestBytes += bytes;
      }
      this.#line.push({ run, done, bytes });
      this.#drain();
    });
  }

  /** Called when the request is answered, though it may run on: the next one may begin. */
  release(request: Request | QueuedWork): void {
    if (this.#running !== request) return;
    this.#running = undefined;
    // The next request must not inherit the async contexts of this one.
    if (this.#line.length > 0 && !this.#isDraining) runDetached(() => this.#drain());
  }

  settled(request: Request): void {
    const index = this.open.indexOf(request);
    if (index !== -1) this.open.splice(index, 1);
    this.quotas.requestBytes -= request.bytes;
    if (request.isDetached) this.quotas.detached -= 1;
    this.release(request);
  }

  find(requestId: unknown): Request | undefined {
    return this.open.find((request) => request.requestId === requestId && !request.isOver);
  }

  /** The requests that run and are not answered. */
  get running(): readonly Request[] {
    return this.open.filter(({ isStarted, isOver }) => isStarted && !isOver);
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      while (!this.#running) {
        const [next] = this.#line;
        if (!next || this.#waitsForOwner()) break;
        this.#line.shift();
        this.#begin(next);
      }
    } finally {
      this.#isDraining = false;
    }
  }

  /** Whether it is undecided who owns the connection; then the line goes on when it is decided. */
  #waitsForOwner(): boolean {
    const awaited = this.isEnding ? undefined : this.ownership.settling;
    if (awaited && awaited !== this.#awaited) void awaited.then(() => runDetached(() => this.#drain()));
    this.#awaited = awaited;
    return awaited !== undefined;
  }

  #begin(next: Request | QueuedWork): void {
    if (next instanceof Request) {
      if (!next.isDetached) {
        this.quotas.waiting -= 1;
        this.#running = next;
      }
      this.#start(next);
      return;
    }
    if (next.bytes !== undefined) this.quotas.waiting -= 1;
    this.#running = next;
    void next.run().then(() => {
      this.quotas.requestBytes -= next.bytes ?? 0;
      next.done();
      this.release(next);
    });
  }

  /** Starts a request. One that fails to start has ended, so that the line goes on. */
  #start(request: Request): void {
    try {
      this.consumer.start(request);
    } catch (thrown) {
      if (!request.isSettled) request.settle();
      throw thrown;
    }
  }
}
