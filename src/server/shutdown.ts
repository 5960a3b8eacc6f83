import { ServerClosing } from '../errors.js';
import { CloseCode } from '../status.js';
import type { Connection } from './connection.js';
import { Drain, restartText } from './drain.js';
import type { Entrance } from './entrance.js';
import type { Services } from './services.js';
import { settledWithin } from './settled-within.js';

/** The two ways in which an application ends: at once, or when its clients have left. */
export class Shutdown {
  readonly #services: Services;
  readonly #connections: ReadonlySet<Connection>;
  readonly #entrance: Entrance;
  readonly #interrupted = Promise.withResolvers<void>();
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(services: Services, connections: ReadonlySet<Connection>, entrance: Entrance) {
    this.#services = services;
    this.#connections = connections;
    this.#entrance = entrance;
  }

  /** What whoever comes is refused with; undefined while nothing ends. */
  get refusal(): ServerClosing | undefined {
    if (this.#closed) return this.#refusalOf(undefined);
    return this.#drained && this.#refusalOf(restartText);
  }

  close(): Promise<void> {
    this.#interrupted.resolve();
    this.#closed ??= this.#close();
    return this.#closed;
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** With a time of its own to come back. */
  #refusalOf(text: string | undefined): ServerClosing {
    const { retrySpread } = this.#services.settings.drain;
    return new ServerClosing(text, { retryAfter: Math.ceil(Math.random() * retrySpread) });
  }

  async #drain(): Promise<void> {
    const { settings, clock, logger } = this.#services;
    const connections = this.#connections;
    logger.info('The application drains.', { connections: connections.size });
    const drain = new Drain({
      settings: settings.drain,
      reserve: settings.closeTimeout,
      clock,
      interrupted: this.#interrupted.promise,
    });
    await drain.run(() => [...connections]);
    logger.info('The application has drained.', { connectionsLeft: connections.size });
    await this.close();
  }

  async #close(): Promise<void> {
    const { hooks, live, subscriber, stopListening } = this.#services;
    live.leave();
    const entranceClosed = this.#entrance.close();
    await this.#endConnections();
    await entranceClosed;
    stopListening();
    subscriber.close();
    await this.#tellTheRest();
    await this.#closeLayer();
    await hooks.stop();
  }

  /** Other processes hear what this one has committed, also while its connections ended. */
  async #tellTheRest(): Promise<void> {
    const { publisher, logger, settings, clock } = this.#services;
    if (await settledWithin(publisher.idle(), settings.closeTimeout, clock)) return;
    logger.warn('Some changes could not be told in time.');
  }

  async #closeLayer(): Promise<void> {
    const { layer, logger, settings, clock } = this.#services;
    const close = async (): Promise<void> => layer.close();
    const closed = close().catch((error) => logger.error('The channel layer could not be closed.', { error }));
    if (await settledWithin(closed, settings.closeTimeout, clock)) return;
    logger.warn('The channel layer did not close in time.');
  }

  /** Waits `closeTimeout` for the clients, and once more for what consumers do when their client is gone. */
  async #endConnections(): Promise<void> {
    const { settings, logger, clock } = this.#services;
    const connections = this.#connections;
    const refused = this.#entrance.refuse(this.#refusalOf(undefined));
    const ended = Promise.all([refused, ...[...connections].map(sayGoodbye)]);
    if (await settledWithin(ended, settings.closeTimeout, clock)) return;
    for (const connection of connections) connection.terminate();
    if (await settledWithin(ended, settings.closeTimeout, clock)) return;
    logger.warn('Some connections did not end in time.', { connections: connections.size });
  }
}

async function sayGoodbye(connection: Connection): Promise<void> {
  await connection.drain(new ServerClosing());
  connection.close(CloseCode.goingAway, 'The server is closing.');
  await connection.closed;
}
