import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { Oracle, type Sent } from './oracle.js';
import type { Kick, World } from './world.js';

/** So many of the last frames are shown with a fault. */
const trailLength = 120;

/** Why a handshake may be refused: by a kick, or because the user has too many connections. */
const refusals = new Set([401, 429]);

export interface ClientOptions {
  /** It says so in its handshake. */
  readonly name: string;
  readonly url: string;
  readonly user: string;
  readonly world: World;
  /** Called with what is wrong, and with what was sent and heard before. */
  readonly fault: (what: string, trail: readonly string[]) => void;
  readonly count: (what: string) => void;
}

export interface Message {
  readonly stream: string;
  readonly action: string;
  readonly kwargs: object;
  readonly users?: readonly string[];
  readonly subscribes?: Sent['subscribes'];
  readonly unsubscribes?: string | undefined;
}

/** A socket with an oracle behind it. */
export class FuzzClient {
  readonly oracle: Oracle;
  readonly #trail: string[] = [];
  readonly #socket: WebSocket;
  #tcp: Socket | undefined;
  #unsent: string[] = [];
  #ids: string[] = [];
  #state: 'opening' | 'open' | 'leaving' | 'closed' = 'opening';
  readonly #closed: Promise<void>;
  /** Frames that were no requests. */
  spoilt = 0;
  #waiters: (() => void)[] = [];

  constructor(private readonly options: ClientOptions) {
    const { name, url, user, world, count } = options;
    this.oracle = new Oracle(world, user, (what) => this.#fault(what), count);
    this.#trail.push(`opened ${url}`);
    this.#socket = new WebSocket(url, {
      createConnection: (address: { readonly host?: string; readonly port?: number | string }) => {
        this.#tcp = connect({ host: address.host ?? '127.0.0.1', port: Number(address.port) });
        return this.#tcp;
      },
    } as object);
    this.#socket.on('message', (data) => this.#hear(String(data)));
    this.#socket.on('error', (error) => this.#trail.push(`error: ${error.message}`));
    this.#socket.once('open', () => {
      if (this.#state === 'opening') this.#state = 'open';
      this.oracle.noteOpened(world.handshakes.get(name) ?? 0);
      this.#wake();
    });
    this.#socket.once('unexpected-response', (request, { statusCode }) => {
      count(`refused ${statusCode}`);
      if (!refusals.has(statusCode ?? 0)) this.#fault(`The handshake was answered ${statusCode}.`);
      request.destroy();
      this.#socket.terminate();
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', (code) => {
        this.#hearEnd(code);
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  get closed(): Promise<void> {
    return this.#closed;
  }

  get trail(): readonly string[] {
    return this.#trail;
  }

  /** The ids of its last requests, the last one first. */
  get lastIds(): readonly string[] {
    return this.#ids.slice(-8).reverse();
  }

  noteKick(kick: Kick): void {
    if (this.isOpen) this.oracle.noteKick(kick);
  }

  /** Sent with the next `flush`. */
  request({ stream, action, kwargs, users = [], ...effects }: Message): void {
    if (!this.isOpen) return;
    const { world } = this.options;
    const at = world.moment();
    const id = `r${at}`;
    this.oracle.note({
      id,
      stream,
      at,
      users,
      ...effects,
      became: [],
      subscriptions: undefined,
      served: new Set(),
      answeredAt: undefined,
      isRefused: false,
    });
    this.#ids.push(id);
    this.#unsent.push(JSON.stringify({ stream, payload: { action, request_id: id, ...kwargs } }));
  }

  /** Something that is no request; it has one answer all the same. */
  sendSpoilt(text: string): void {
    if (!this.isOpen) return;
    this.spoilt += 1;
    this.#unsent.push(text);
  }

  /** In one packet, where TCP does not cut it. */
  flush(): void {
    const texts = this.#unsent;
    if (texts.length === 0) return;
    this.#unsent = [];
    if (!this.isOpen) return;
    this.#tcp?.cork();
    for (const text of texts) {
      this.#note(`-> ${text}`);
      this.#socket.send(text);
    }
    this.#tcp?.uncork();
  }

  /** @param isAbrupt without goodbye */
  leave(isAbrupt: boolean): void {
    if (this.#state === 'closed') return;
    this.flush();
    this.#note(isAbrupt ? 'cut' : 'closed');
    this.#state = 'leaving';
    if (isAbrupt) this.#socket.terminate();
    else this.#socket.close();
  }

  /** Resolves once the condition holds, or the socket has ended. It is looked at with every frame. */
  async until(holds: () => boolean): Promise<void> {
    while (this.#state !== 'closed' && !holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  #hear(text: string): void {
    this.#note(`<- ${text}`);
    if (this.#state !== 'leaving') this.oracle.hear(text);
    this.#wake();
  }

  #hearEnd(code: number): void {
    this.#note(`ended with ${code}`);
    const isByServer = this.#state === 'open';
    this.#state = 'closed';
    this.oracle.hearEnd(isByServer ? code : undefined);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #note(text: string): void {
    this.#trail.push(`${this.options.world.moment()} ${text}`);
    if (this.#trail.length > trailLength) this.#trail.shift();
  }

  #fault(what: string): void {
    this.options.fault(what, this.#trail);
  }
}
