import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import type { Clock, Deadlines } from '../clock.js';
import type { Logger } from '../logger.js';
import type { ConnectionPool } from '../orm/connection-pool.js';
import { checkDatabase } from '../orm/database-check.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { pathAndQuery } from '../scope/scope.js';
import { Status } from '../status.js';
import type { Joining } from './startup.js';

/** As much of Node's `IncomingMessage` and `ServerResponse` as is needed, so that browsers can import the type of an application. */
export interface HealthRequest {
  readonly url?: string | undefined;
  readonly method?: string | undefined;
}

/** As much of Node's `ServerResponse` as is needed. */
export interface HealthResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

/** Whether a process should be sent clients. Why not is in the log. */
export interface Readiness {
  /** Whether the three checks succeed and the process is not ending. */
  readonly isReady: boolean;
  /** Whether each database answered a query within 2 s. */
  readonly database: boolean;
  /** Whether the channel layer answered within 2 s. */
  readonly channelLayer: boolean;
  /** Whether the process has heard what is committed until now, or until `changeLog.lagTimeLimit` ago. */
  readonly changeLog: boolean;
  /** Whether `app.drain()` or `app.close()` was called. */
  readonly isEnding: boolean;
}

/** How long the database and the channel layer may take to answer, in milliseconds. */
const patience = 2_000;

/** How long an answer is good for: probes ask often, and the address is open to all. */
const freshness = 1_000;

type Checks = Pick<Readiness, 'database' | 'channelLayer' | 'changeLog'>;

/** What load balancers and orchestrators ask a process for. */
export class Health {
  readonly #checks = freshly(() => this.#check());
  readonly #isLive = freshly(() => this.#checkLiveness());

  /**
   * @param poolTimeLimit how long a pool may be exhausted, in milliseconds
   * @param isBehind whether too much of what is committed was not heard yet
   * @param isEnding whether `app.drain()` or `app.close()` was called
   */
  constructor(
    private readonly orms: readonly OrmRoot[],
    private readonly pools: readonly ConnectionPool[],
    private readonly layer: ChannelLayer,
    private readonly clock: Clock,
    private readonly deadlines: Deadlines,
    private readonly logger: Logger,
    private readonly joining: Pick<Joining, 'isLate'>,
    private readonly poolTimeLimit: number,
    private readonly isBehind: () => boolean,
    private readonly isEnding: () => boolean,
  ) {}

  liveness(): Promise<boolean> {
    return this.#isLive(this.clock);
  }

  async readiness(): Promise<Readiness> {
    const checks = await this.#checks(this.clock);
    const isEnding = this.isEnding();
    const isReady = checks.database && checks.channelLayer && checks.changeLog && !isEnding;
    return { isReady, ...checks, isEnding };
  }

  /** Answers `/livez` and `/readyz`. Returns whether it was one of them. */
  answer({ url = '', method }: HealthRequest, response: HealthResponse): boolean {
    const [path] = pathAndQuery(url);
    if (path !== '/livez' && path !== '/readyz') return false;
    if (method !== 'GET' && method !== 'HEAD') this.#send(response, 405, { errors: ['GET and HEAD only.'] });
    else if (path === '/livez') void this.#answerLiveness(response);
    else void this.#answerReadiness(response);
    return true;
  }

  async #answerLiveness(response: HealthResponse): Promise<void> {
    const isLive = await this.liveness();
    this.#send(response, isLive ? Status.ok : Status.unavailable, { isLive });
  }

  async #answerReadiness(response: HealthResponse): Promise<void> {
    const readiness = await this.readiness();
    this.#send(response, readiness.isReady ? Status.ok : Status.unavailable, readiness);
  }

  #send(response: HealthResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(body));
  }

  async #checkLiveness(): Promise<boolean> {
    const { pools, poolTimeLimit, logger } = this;
    const exhausted = await Promise.all(pools.map((pool) => pool.isExhausted(poolTimeLimit)));
    if (!exhausted.includes(true)) return true;
    logger.error('Nothing gives the connections of the database pool back: restart this process.', { poolTimeLimit });
    return false;
  }

  async #check(): Promise<Checks> {
    const { orms, layer, joining, logger } = this;
    const [database, channelLayer] = await Promise.all([
      this.#passes('database', async () => void (await Promise.all(orms.map(checkDatabase)))),
      this.#passes('channel layer', async () => layer.check()),
    ]);
    const changeLog = !this.isBehind();
    if (!changeLog) logger.warn('The process is behind the database: its clients hear of changes late.');
    return { database, channelLayer: channelLayer && !joining.isLate, changeLog };
  }

  async #passes(what: string, check: () => Promise<void>): Promise<boolean> {
    const { deadlines, logger } = this;
    let isGood = false;
    const checked = check().then(
      () => {
        isGood = true;
      },
      (error) => logger.warn(`The ${what} cannot be reached.`, { error }),
    );
    if (!(await deadlines.settles(checked, patience))) logger.warn(`The ${what} did not answer in time.`);
    return isGood;
  }
}

/** Asks again once the last answer is not fresh any more. */
function freshly<T>(ask: () => Promise<T>): (clock: Clock) => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined;
  return (clock) => {
    const now = clock.elapsed();
    if (!last || now - last.at >= freshness) last = { at: now, answer: ask() };
    return last.answer;
  };
}
