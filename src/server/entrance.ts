import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiError } from '../errors.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ListenOptions, UpgradableServer } from './app-options.js';
import type { HealthRequest, HealthResponse } from './health.js';
import { closeServer, listening, socketsOnly } from './http-server.js';
import type { Services } from './services.js';
import { answers, share } from './shared-server.js';
import type { Transport } from './transport.js';
import { destroyOnError, refuseUpgrade, toHandshakeRequest } from './upgrade.js';
import { WaitingSockets } from './waiting-sockets.js';
import { WebSocketAcceptor } from './web-socket-transport.js';

/** Who decides about those that come in. */
export interface Host {
  /** @throws ApiError that refuses the handshake */
  accept(request: HandshakeRequest, connect: (scope: Scope) => Transport): Promise<unknown>;
  /** Answers a plain request about the health of the process; returns whether it was one. */
  answerHealth(request: HealthRequest, response: HealthResponse): boolean;
}

/** The way in from HTTP: servers of its own and of others, and the upgrades that come through them. */
export class Entrance {
  readonly #services: Services;
  readonly #host: Host;
  readonly #acceptor: WebSocketAcceptor;
  readonly #waiting: WaitingSockets;
  /** Sockets that are still being asked, and what becomes of them. */
  readonly #handshakes = new Map<Duplex, Promise<void>>();
  readonly #detach: (() => void)[] = [];
  readonly #servers: Server[] = [];

  constructor(services: Services, host: Host) {
    this.#services = services;
    this.#host = host;
    this.#acceptor = new WebSocketAcceptor(services.settings, services.logger);
    this.#waiting = new WaitingSockets(services.gate);
  }

  /** Makes a server that serves sockets, and nothing else. */
  async listen({ port = 0, host }: ListenOptions): Promise<Server> {
    const { limits } = this.#services.settings;
    const server = socketsOnly(limits, (request, response) => this.#host.answerHealth(request, response));
    server.on('connection', (socket) => this.#waiting.add(socket));
    this.#servers.push(server);
    await listening(server, port, host);
    return server;
  }

  attach(server: UpgradableServer): void {
    const serves = (url: string): boolean => this.#services.handshake.serves(url);
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      const { url = '/' } = request;
      this.#waiting.delete(socket);
      if (!answers(server, url, serves)) return;
      const handshake = this.#upgrade(request, socket, head).finally(() => this.#handshakes.delete(socket));
      this.#handshakes.set(socket, handshake);
    };
    const leave = share(server, serves);
    server.on('upgrade', upgrade);
    this.#detach.push(leave, () => server.off('upgrade', upgrade));
  }

  /** Lets nobody in any more. Resolves once the servers of its own have no socket left. */
  async close(): Promise<void> {
    for (const leave of this.#detach.splice(0)) leave();
    await Promise.all(this.#servers.map(closeServer));
  }

  /** Refuses those that are still being asked. Resolves once nothing of them is left. */
  async refuse(error: ApiError): Promise<void> {
    for (const socket of this.#handshakes.keys()) refuseUpgrade(socket, error);
    await Promise.all(this.#handshakes.values());
  }

  /** Never rejects. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    destroyOnError(socket);
    try {
      await this.#host.accept(toHandshakeRequest(request), ({ subprotocol }) =>
        this.#acceptor.accept(request, socket, head, subprotocol),
      );
    } catch (thrown) {
      const { url = '/' } = request;
      const { errors, handshake } = this.#services;
      const error = errors.translate(thrown, { handshake: url.split('?', 1)[0] });
      refuseUpgrade(socket, error, handshake.refusalHeaders(url, error));
    }
  }
}
