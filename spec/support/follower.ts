import { once } from 'node:events';
import { WebSocket } from 'ws';
import { within } from './deadline.js';
import type { Frame } from './sockets.js';

/** A client over a real socket that keeps all that it hears. */
export class Follower implements AsyncDisposable {
  /** In the order in which they came. */
  readonly frames: Frame[] = [];
  /** The close code. */
  readonly #closed: Promise<number>;
  #requests = 0;

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data))));
    socket.on('error', () => {});
    this.#closed = new Promise((resolve) => void socket.once('close', resolve));
  }

  /** @param query such as `user=1` @throws Error if the server refuses */
  static async open(port: number, query = '', path = '/ws/'): Promise<Follower> {
    const follower = new Follower(new WebSocket(`ws://127.0.0.1:${port}${path}?${query}`));
    await within(Promise.race([once(follower.socket, 'open'), follower.#refused()]), 'The handshake');
    return follower;
  }

  get closed(): Promise<number> {
    return within(this.#closed, 'The end of a socket');
  }

  /** Resolves with the reply. What the server sent before it has been heard then. */
  async ask(action: string, kwargs: object = {}): Promise<Frame> {
    this.#requests += 1;
    const requestId = this.#requests;
    this.socket.send(JSON.stringify({ ...kwargs, action, request_id: requestId }));
    return this.hears(({ request_id }) => request_id === requestId, `The reply to ${action}`);
  }

  /** Subscribes. @returns the request id, which its events bear */
  async follow(action: string, kwargs: object = {}): Promise<number> {
    const reply = await this.ask(action, kwargs);
    if (reply['response_status'] !== 201) throw new Error(`${action}: ${JSON.stringify(reply)}`);
    return reply['request_id'] as number;
  }

  /** Resolves with the first frame that matches, also where it was heard before. */
  hears(matches: (frame: Frame) => boolean, what: string): Promise<Frame> {
    return within(this.#find(matches, what), what);
  }

  /** What a subscription was told: all behind the reply. */
  events(requestId: number): readonly Frame[] {
    return this.frames.filter((frame) => frame['request_id'] === requestId).slice(1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  async #find(matches: (frame: Frame) => boolean, what: string): Promise<Frame> {
    const failed = this.#closed.then((code) => {
      throw new Error(`${what}: the socket was closed with ${code}.`);
    });
    failed.catch(() => {});
    for (;;) {
      const found = this.frames.find(matches);
      if (found) return found;
      await Promise.race([once(this.socket, 'message'), failed]);
    }
  }

  async #refused(): Promise<never> {
    const [, response] = await once(this.socket, 'unexpected-response');
    this.socket.terminate();
    throw new Error(`The server refused with ${(response as { statusCode: number }).statusCode}.`);
  }
}
