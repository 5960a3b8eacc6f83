import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** How long each piece takes, in milliseconds, and how many bytes pass in a second. */
export interface Way {
  readonly delay?: number;
  readonly bandwidth?: number;
}

/** Stands between a client and a server on this machine, and is as bad a network as a spec wants. */
export class TcpProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #way: Way = {};
  #isCut = false;
  #isFrozen = false;
  #deafening: RegExp | undefined;
  #held: (() => void)[] = [];

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How fast it is from now on. */
  set way(way: Way) {
    this.#way = way;
  }

  /** Ends all connections, and each new one as soon as it is made. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
    this.#deafening = undefined;
  }

  /**
   * A connection whose client says this hears nothing of the server from then on. What the server is told takes effect, and all other
   * connections go on.
   */
  deafenAt(words: RegExp): void {
    this.#deafening = words;
  }

  /** The address of the server, by way of this proxy. */
  urlOf(address: string): string {
    const url = new URL(address);
    url.port = String(this.port);
    return url.href;
  }

  /** Passes nothing on any more, and says nothing of it. */
  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1');
    const isDeaf = this.#deafness(client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      this.#pass(socket, other, () => socket === server && isDeaf());
    }
    if (this.#isCut) client.destroy();
  }

  /** To be called before what the client says is passed on. */
  #deafness(client: Socket): () => boolean {
    let isDeaf = false;
    client.on('data', (piece) => {
      isDeaf ||= this.#deafening?.test(piece.toString('latin1')) ?? false;
    });
    return () => isDeaf;
  }

  /** One piece after the other; a piece keeps the next one waiting for as long as the bandwidth wants. */
  #pass(from: Socket, to: Socket, isLost: () => boolean): void {
    let free = 0;
    from.on('data', (piece) => {
      if (isLost()) return;
      const { delay = 0, bandwidth = Number.POSITIVE_INFINITY } = this.#way;
      const now = performance.now();
      free = Math.max(free, now) + (piece.length / bandwidth) * 1_000;
      const arrives = free + delay;
      const write = (): unknown => (this.#isFrozen ? this.#held.push(write) : to.write(piece));
      if (arrives <= now) write();
      else setTimeout(write, arrives - now);
    });
  }
}
