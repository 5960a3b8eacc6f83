import type { ActivityLog, WithheldEvent } from '../activity-log.js';
import { currentWork, type Work } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import type { LogFields, Logger } from '../logger.js';
import { type Scope, userKeyOf } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { type GuardedCounters, type GuardedTracer, readTraceParent, type TraceSpan } from '../telemetry.js';
import type { Request } from './request.js';

/** A count and a span for every request and delivery, and a log line where the settings ask for one. Never what was in it. */
export class RequestLog {
  constructor(
    private readonly clock: Clock,
    private readonly counters: GuardedCounters,
    readonly tracer: GuardedTracer,
    private readonly logger: Logger,
    private readonly settings: Pick<Settings, 'closeTimeout' | 'log'>,
    private readonly activity: ActivityLog | undefined,
  ) {}

  /** Runs the request in a span of its own, which ends with its reply. */
  follow(request: Request, work: () => void): void {
    const consumer = request.target.instance.constructor.name;
    const attributes = { 'signalbox.consumer': consumer, 'signalbox.action': request.name };
    this.tracer.run(`${consumer} ${request.name}`, attributes, (span) => {
      request.trace = span.traceId;
      request.whenAnswered(() => span.end(request.status));
      work();
    });
  }

  /** A request was answered, or its client is gone; perhaps before anything of it ran. */
  answered(request: Request): void {
    const { name: action, status, startedAt, isDetached, error } = request;
    if (this.counters.isOn)
      this.counters.increment('signalbox.actions', { action, status: String(status ?? 'disconnected') });
    const { actions, slowActionTime } = this.settings.log;
    if (!actions) return;
    const duration = startedAt === 0 ? 0 : Math.round(this.clock.elapsed() - startedAt);
    const isSlow = duration >= slowActionTime && !isDetached;
    if (this.activity)
      currentWork.run(request, () => this.activity?.request(request, request.label, error, { duration, isSlow }));
    else if (actions === 'all' || isSlow || isProblem(status)) {
      const level = isSlow || (status ?? 0) >= Status.serverError ? 'warn' : 'info';
      if (!this.logger.isLevelEnabled(level)) return;
      const facts = { status: status ?? null, duration, ...(error && { code: error.code }), ...(isSlow && { isSlow }) };
      currentWork.run(request, () => this.logger[level]('An action was answered.', facts));
    }
  }

  /** Work that goes on although it was aborted counts against its connection. @returns what to cancel once it ends */
  watchAbandoned(request: Request): Timer {
    return this.clock.after(this.settings.closeTimeout, () => {
      this.counters.increment('signalbox.abandoned_actions', { action: request.name });
      this.logger.warn('An action goes on although it was aborted: heed context.signal.', request.logFields);
    });
  }

  /**
   * Runs the delivery of an event to a subscription, whose log lines say which commit it comes from.
   *
   * @param cause the trace of the commit
   * @param work gives false where the event was refused
   */
  async followDelivery(observer: string, cause: string, work: () => Promise<boolean | void> | void): Promise<void> {
    const attributes = { 'signalbox.observer': observer };
    await this.tracer.deliver(`deliver ${observer}`, attributes, cause, async (span) => {
      let status: number = Status.serverError;
      try {
        const delivery: Work = { logFields: tracesOf(span, cause) };
        const passed = await currentWork.run(delivery, work);
        status = passed === false ? Status.forbidden : Status.ok;
      } finally {
        span.end(status);
      }
    });
  }

  /** An event that a permission kept from a subscription. */
  refusedDelivery(scope: Scope, refused: WithheldEvent): void {
    const { observer, event, requestId } = refused;
    this.counters.increment('signalbox.refused_deliveries', { observer });
    if (this.activity) this.activity.withheld(refused, userKeyOf(scope));
    else if (this.settings.log.actions === 'all') {
      const facts = { observer, event, requestId, path: scope.path, user: userKeyOf(scope) };
      this.logger.info('A delivery was refused.', facts);
    }
  }
}

/** A failure of the server, or a refusal: not what a client merely did wrong. */
function isProblem(status = 0): boolean {
  return status >= Status.serverError || refusals.has(status);
}

const refusals: ReadonlySet<number> = new Set([Status.unauthorized, Status.forbidden, Status.tooManyRequests]);

/** Which trace the work is in, and which one it comes from. */
function tracesOf({ traceId }: TraceSpan, cause: string): LogFields {
  const from = readTraceParent(cause)?.traceId;
  return { ...(traceId !== undefined && { trace: traceId }), ...(from !== undefined && { cause: from }) };
}
