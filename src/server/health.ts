import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import type { Clock, Deadlines } from '../clock.js';
import type { Logger } from '../logger.js';
import { checkDatabase } from '../orm/database-check.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { Status } from '../status.js';
import type { Joining } from './startup.js';

/** As much of Node's `IncomingMessage` and `ServerResponse` as is needed, so that browsers can import the type of an application. */
export interface HealthRequest {
  readonly url?: string | undefined;
  readonly method?: string | undefined;
}

export interface HealthResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

/** Whether a process should be sent clients. Why not is in the log. */
export interface Readiness {
  readonly isReady: boolean;
  readonly database: boolean;
  readonly channelLayer: boolean;
  /** Whether `app.drain()` or `app.close()` was called. */
  readonly isEnding: boolean;
}

/** How long the database and the channel layer may take to answer, in milliseconds. */
const patience = 2_000;

/** How long an answer is good for: probes ask often, and anybody may ask. */
const freshness = 1_000;

type Checks = Pick<Readiness, 'database' | 'channelLayer'>;

/** What load balancers and orchestrators ask a process for. */
export class Health {
  #last: { readonly at: number; readonly checks: Promise<Checks> } | undefined;

  /** @param isEnding whether `app.drain()` or `app.close()` was called */
  constructor(
    private readonly orms: readonly OrmRoot[],
    private readonly layer: ChannelLayer,
    private readonly clock: Clock,
    private readonly deadlines: Deadlines,
    private readonly logger: Logger,
    private readonly joining: Pick<Joining, 'isLate'>,
    private readonly isEnding: () => boolean,
  ) {}

  async readiness(): Promise<Readiness> {
    const checks = await this.#checks();
    const isEnding = this.isEnding();
    return { isReady: checks.database && checks.channelLayer && !isEnding, ...checks, isEnding };
  }

  /** Answers `/livez` and `/readyz`. Returns whether it was one of them. */
  answer({ url = '', method }: HealthRequest, response: HealthResponse): boolean {
    const [path] = url.split('?', 1);
    if (path !== '/livez' && path !== '/readyz') return false;
    if (method !== 'GET' && method !== 'HEAD') this.#send(response, 405, { errors: ['GET and HEAD only.'] });
    else if (path === '/livez') this.#send(response, Status.ok, { isLive: true });
    else void this.#answerReadiness(response);
    return true;
  }

  async #answerReadiness(response: HealthResponse): Promise<void> {
    const readiness = await this.readiness();
    this.#send(response, readiness.isReady ? Status.ok : Status.unavailable, readiness);
  }

  #send(response: HealthResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(body));
  }

  #checks(): Promise<Checks> {
    const now = this.clock.elapsed();
    if (!this.#last || now - this.#last.at >= freshness) this.#last = { at: now, checks: this.#check() };
    return this.#last.checks;
  }

  async #check(): Promise<Checks> {
    const { orms, layer, joining } = this;
    const [database, channelLayer] = await Promise.all([
      this.#passes('database', async () => void (await Promise.all(orms.map(checkDatabase)))),
      this.#passes('channel layer', async () => layer.check()),
    ]);
    return { database, channelLayer: channelLayer && !joining.isLate };
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
