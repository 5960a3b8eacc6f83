import type { Clock, Deadlines } from '../clock.js';
import { ServerClosing } from '../errors.js';
import type { DrainSettings } from '../settings.js';
import { CloseCode } from '../status.js';
import type { Services } from './composition.js';
import { type Connection, restartText } from './connection.js';
import type { HttpServer } from './http-server.js';

/** The two ways in which an application ends: at once, or after its clients have left. */
export class Shutdown {
  /** Whether `close` or `drain` was called. */
  isEnding = false;
  readonly #interrupted = Promise.withResolvers<void>();
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    private readonly services: Services,
    private readonly httpServer: HttpServer,
  ) {}

  /** The error that refuses new sockets while the application ends. */
  get refusal(): ServerClosing {
    return this.#refusalOf(this.#closed ? undefined : restartText);
  }

  close(): Promise<void> {
    this.#interrupted.resolve();
    this.isEnding = true;
    this.#closed ??= this.#close();
    return this.#closed;
  }

  drain(): Promise<void> {
    this.isEnding = true;
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** The error with a retry time of its own. */
  #refusalOf(text: string | undefined): ServerClosing {
    const { retrySpread } = this.services.settings.drain;
    return new ServerClosing(text, { retryAfter: Math.ceil(Math.random() * retrySpread) });
  }

  async #drain(): Promise<void> {
    const { settings, clock, deadlines, logger, registry } = this.services;
    logger.info('The application drains.', { connections: registry.connections.size });
    const interrupted = this.#interrupted.promise;
    const drain = new Drain(settings.drain, settings.closeTimeout, clock, deadlines, interrupted);
    await drain.run(() => [...registry.connections.values()]);
    logger.info('The application has drained.', { connectionsLeft: registry.connections.size });
    await this.close();
  }

  async #close(): Promise<void> {
    const { feed, lifecycle, pools, registry, stopListening, inspector } = this.services;
    inspector?.close();
    registry.stopExpiry();
    const entranceClosed = this.httpServer.close();
    await this.#endConnections();
    await entranceClosed;
    stopListening();
    // Events of this process reach the other processes, also while its connections end.
    await this.#waitFor(feed.idle(), 'Some changes could not be sent as events in time.');
    await lifecycle.stop();
    await this.#waitFor(feed.stop(), 'The change log did not stop in time.');
    await this.#waitFor(this.#closeLayer(), 'The channel layer did not close in time.');
    for (const pool of pools) pool.unwatch();
  }

  /** @param sentence logged if it does not end in time */
  async #waitFor(work: Promise<unknown>, sentence: string): Promise<void> {
    const { settings, deadlines, logger } = this.services;
    if (!(await deadlines.settles(work, settings.closeTimeout))) logger.warn(sentence);
  }

  async #closeLayer(): Promise<void> {
    const { layer, logger } = this.services;
    try {
      await layer.close();
    } catch (error) {
      logger.error('The channel layer could not be closed.', { error });
    }
  }

  /** Waits `closeTimeout` for the clients, and once more for the disconnect hooks of consumers. */
  async #endConnections(): Promise<void> {
    const { settings, logger, deadlines, registry } = this.services;
    const refused = this.httpServer.refuse(this.#refusalOf(undefined));
    const ended = Promise.all([refused, ...[...registry.connections.values()].map(sayGoodbye)]);
    if (await deadlines.settles(ended, settings.closeTimeout)) return;
    for (const connection of registry.connections.values()) connection.terminate();
    if (await deadlines.settles(ended, settings.closeTimeout)) return;
    logger.warn('Some connections did not end in time.', { connections: registry.connections.size });
  }
}

async function sayGoodbye(connection: Connection): Promise<void> {
  await connection.abort(new ServerClosing());
  connection.close(CloseCode.goingAway, 'The server is closing.');
  await connection.closed;
}

/** Milliseconds between two batches of drain frames. */
const turn = 20;

/** The most milliseconds that one turn makes up for: a process that is late must not cause a storm. */
const longestTurn = 60;

/** Milliseconds that the last connections have to leave. */
const lastLeave = 500;

/** The fractional parts of its multiples are always spread nearly evenly between 0 and 1, however many there are. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

/**
 * Empties a process without a storm: connections get the drain frame one after the other, each with its own retry time, so that neither the
 * clients nor the servers that take them are hit all at once.
 */
class Drain {
  readonly #begun: number;
  /** The share of the retry time that the last connection was given. */
  #share = Math.random();

  /**
   * @param reserve milliseconds that may be needed for connections that do not leave
   * @param interrupted resolves if everything has to end at once
   */
  constructor(
    private readonly settings: DrainSettings,
    private readonly reserve: number,
    private readonly clock: Clock,
    private readonly deadlines: Deadlines,
    private readonly interrupted: Promise<void>,
  ) {
    this.#begun = this.#now();
  }

  /**
   * Resolves when all have left, or the time is over.
   *
   * @param connections called after the load balancer has had its time
   */
  async run(connections: () => readonly Connection[]): Promise<void> {
    const { settings, deadlines, interrupted } = this;
    if (settings.delay > 0 && (await deadlines.settles(interrupted, settings.delay))) return;
    const left = this.#leaveAll(connections());
    await deadlines.settles(Promise.race([left, interrupted]), this.#left());
  }

  async #leaveAll(all: readonly Connection[]): Promise<void> {
    const connections = shuffled(all);
    const { settings, deadlines, interrupted } = this;
    const wanted = (connections.length / settings.rate) * 1_000;
    const spread = Math.max(turn, Math.min(wanted, settings.spread, this.#left() - lastLeave));
    const retryWindow = Math.max(settings.retrySpread, wanted - spread);
    const leaving: Promise<void>[] = [];
    let before = this.#now() - turn;
    const end = before + spread;
    for (let due = 0; leaving.length < connections.length; ) {
      if (leaving.length > 0 && (await deadlines.settles(interrupted, turn))) return;
      // Delays of a busy process are spread over the time that is left, so that the last connections get the frame in time.
      const passed = Math.min(this.#now() - before, longestTurn);
      due += (connections.length - due) * Math.min(1, passed / Math.max(1, end - before));
      before = this.#now();
      const time = Math.max(1, Math.min(settings.actionTimeLimit, this.#left()));
      for (const connection of connections.slice(leaving.length, Math.ceil(due)))
        leaving.push(connection.drain(this.#reason(retryWindow), time));
    }
    await Promise.all(leaving);
  }

  /** The error with a retry time. Clients return as evenly as they leave; the start is random, because several processes may drain. */
  #reason(window: number): ServerClosing {
    this.#share = (this.#share + goldenRatio) % 1;
    return new ServerClosing(restartText, { retryAfter: Math.floor(this.#share * window) });
  }

  /** Milliseconds that are left for leaving. */
  #left(): number {
    const { settings, reserve } = this;
    return Math.max(1, this.#begun + settings.timeLimit - reserve - this.#now());
  }

  #now(): number {
    return this.clock.elapsed();
  }
}

/** The connections in random order: clients that connected together often do the same, and would take equally long to leave. */
function shuffled(connections: readonly Connection[]): readonly Connection[] {
  const placed = connections.map((connection) => ({ connection, place: Math.random() }));
  return placed.sort((one, other) => one.place - other.place).map(({ connection }) => connection);
}
