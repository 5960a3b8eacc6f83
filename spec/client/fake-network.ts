import { type Client, type ClientOptions, createClient, type WebSocketLike } from 'signalbox/client';
import { TestClock } from 'signalbox/testing';

export type Sent = Readonly<Record<string, unknown>>;

/** A socket whose other end is a spec. */
export class FakeSocket implements WebSocketLike {
  readyState = 0;
  onopen: ((event: object) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  /** What the client sent, decoded. */
  readonly sent: Sent[] = [];

  constructor(
    readonly url: string,
    readonly protocols: readonly string[],
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.({});
  }

  receive(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  drop(code = 1006, reason = ''): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** Answers the last frame, or the one of an id. */
  reply(data: unknown = null, { status = 200, id = this.last['request_id'], code = '' } = {}): void {
    const errors = status < 300 ? [] : ['No.'];
    const frame = { errors, data, action: 'any', response_status: status, request_id: id };
    this.receive(code ? { ...frame, code } : frame);
  }

  get last(): Sent {
    return this.sent.at(-1) ?? {};
  }
}

/** Lets promises of the client go on; nothing of it waits for anything but them and the clock. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Everything that a client meets, in the hands of a spec: sockets, time and chance. */
export class FakeNetwork {
  readonly clock = new TestClock();
  readonly sockets: FakeSocket[] = [];
  random = 0.5;

  createClient<Api>(options: ClientOptions = {}, url: Parameters<typeof createClient>[0] = 'ws://fake/'): Client<Api> {
    const { sockets, clock } = this;
    class Socket extends FakeSocket {
      constructor(url: string, protocols: readonly string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    return createClient<Api>(url, { WebSocket: Socket, clock, random: () => this.random, ...options });
  }

  /** The latest one. @throws Error before the first */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('There was no attempt to connect yet.');
    return socket;
  }

  /** Grants the attempt that is under way. */
  async open(): Promise<FakeSocket> {
    await settled();
    this.socket.open();
    return this.socket;
  }

  async advance(milliseconds: number): Promise<void> {
    this.clock.advance(milliseconds);
    await settled();
  }
}
