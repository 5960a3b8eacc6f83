import type { Deadlines } from '../clock.js';
import type { Quotas } from '../consumers/quotas.js';
import type { ErrorTranslator } from '../dispatch/error-mapping.js';
import { type ApiError, HandshakeTimedOut, NotAuthenticated, PermissionDenied } from '../errors.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { Scope } from '../scope/scope.js';
import { hasEnded } from '../scope/scope-disposal.js';
import type { Settings } from '../settings.js';
import { CloseCode, closeCodeOf } from '../status.js';
import type { Counters } from '../telemetry.js';
import { refusalsOf } from './handshake.js';
import type { CompiledRoute } from './router.js';

/** The connection whose authorization this tracks. */
export interface AuthorizedConnection {
  readonly route: CompiledRoute;
  readonly scope: Scope;
  readonly quotas: Quotas;
  end(reason: ApiError, code: number): Promise<void>;
  /** Ends the consumer of a stream whose permission refuses by now. */
  revokeStream(stream: string, refusal: ApiError): void;
}

/** Which streams of a connection are refused by the permissions to connect. Asked again when a user or their rights change. */
export class Reauthorization {
  #refused: ReadonlyMap<string, ApiError>;
  #checking: Promise<void> | undefined;
  /** Whether frames have to wait for an answer of the permissions. */
  isChecking = false;
  /** Frames that came while the permissions are asked again. */
  #held: { readonly frame: () => void; readonly bytes: number }[] | undefined;

  constructor(
    private readonly connection: AuthorizedConnection,
    refused: ReadonlyMap<string, ApiError>,
    private readonly unitOfWork: UnitOfWork,
    private readonly errors: ErrorTranslator,
    private readonly deadlines: Deadlines,
    private readonly settings: Settings,
    private readonly logger: Logger,
    private readonly counters: Counters,
  ) {
    this.#refused = refused;
  }

  get refused(): ReadonlyMap<string, ApiError> {
    return this.#refused;
  }

  /** @throws PermissionDenied for a stream that refuses to be connected to */
  checkStream(stream: string): void {
    const refusal = this.#refused.get(stream);
    if (refusal) throw new PermissionDenied(undefined, { remedy: refusal.remedy });
  }

  /**
   * Keeps a frame until the permissions have answered.
   *
   * @param bytes of heap that it takes
   * @throws Throttled where as many requests wait as may
   */
  hold(frame: () => void, bytes: number): void {
    const { quotas } = this.connection;
    quotas.requireRequest(false, bytes);
    quotas.waiting += 1;
    quotas.requestBytes += bytes;
    this.#held ??= [];
    this.#held.push({ frame, bytes });
  }

  /** Frames that wait for the answer go on without it. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    const { quotas } = this.connection;
    quotas.waiting -= held.length;
    for (const { bytes } of held) quotas.requestBytes -= bytes;
    for (const { frame } of held) frame();
  }

  /** Asks again, one time after the other. Never rejects. */
  recheck(): Promise<void> {
    const before = this.#checking ?? Promise.resolve();
    const checked = before
      .then(() => this.#recheck())
      .finally(() => {
        if (this.#checking !== checked) return;
        this.#checking = undefined;
        this.isChecking = false;
        this.release();
      });
    this.#checking = checked;
    this.isChecking = true;
    return checked;
  }

  async #recheck(): Promise<void> {
    const { connection, errors } = this;
    const { route, scope } = connection;
    if (hasEnded(scope)) return;
    // A question that the end of the connection overtakes fails for want of providers, and there is no client to answer.
    const translate = (thrown: unknown): ApiError =>
      hasEnded(scope) ? new NotAuthenticated() : errors.translate(thrown, { path: scope.path });
    const answer = this.unitOfWork.run(async () => refusalsOf(route, scope, translate));
    if (!(await this.deadlines.settles(answer, this.settings.handshakeTimeLimit))) {
      await this.#endUnanswered();
      return;
    }
    try {
      this.#refused = await answer;
    } catch (thrown) {
      const refusal = translate(thrown);
      await connection.end(refusal, closeCodeOf(refusal));
      return;
    }
    for (const [stream, refusal] of this.#refused) connection.revokeStream(stream, refusal);
  }

  async #endUnanswered(): Promise<void> {
    const { path } = this.connection.scope;
    this.counters.increment('signalbox.unchecked_connections', { asked: 'permissions' });
    this.logger.warn('The permissions to connect were not answered in time.', { path });
    const reason = new HandshakeTimedOut('Your rights could not be checked in time.');
    await this.connection.end(reason, CloseCode.serverError);
  }
}
