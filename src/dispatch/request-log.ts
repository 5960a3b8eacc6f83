import { currentWork, type Work } from '../async-context.js';
import type { Clock, Timer } from '../clock.js';
import type { GuardedCounters } from '../counters.js';
import type { LogFields, Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';
import { userKeyOf } from '../scope/user-key.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { readTraceParent } from '../trace-parent.js';
import type { GuardedTracer, TraceSpan } from '../tracer.js';
import type { RequestId } from '../wire/messages.js';
import type { Request } from './request.js';

/** An event that a permission kept from a subscription. */
export interface RefusedDelivery {
  readonly observer: string;
  readonly event: string;
  readonly requestId: RequestId;
}

/** What is written down of every request and delivery: a log line, a span, a count. Never what was in it. */
export class RequestLog {
  constructor(
    private readonly clock: Clock,
    private readonly counters: GuardedCounters,
    readonly tracer: GuardedTracer,
    private readonly logger: Logger,
    private readonly settings: Pick<Settings, 'closeTimeout' | 'log'>,
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

  /** A request was answered, or has nobody to be answered to; perhaps before anything of it ran. */
  answered(request: Request): void {
    const { name: action, status, isStarted, startedAt } = request;
    if (this.counters.isOn)
      this.counters.increment('signalbox.actions', { action, status: String(status ?? 'disconnected') });
    const level = this.settings.log.actions;
    if (!level) return;
    const duration = isStarted ? this.clock.elapsed() - startedAt : 0;
    currentWork.run(request, () => this.logger[level]('An action was answered.', { status: status ?? null, duration }));
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

  refusedDelivery(scope: Scope, facts: RefusedDelivery): void {
    this.counters.increment('signalbox.refused_deliveries', { observer: facts.observer });
    const level = this.settings.log.actions;
    if (level) this.logger[level]('A delivery was refused.', { ...facts, path: scope.path, user: userKeyOf(scope) });
  }
}

/** Which trace the work is in, and which one it comes from. */
function tracesOf({ traceId }: TraceSpan, cause: string): LogFields {
  const from = readTraceParent(cause)?.traceId;
  return { ...(traceId !== undefined && { trace: traceId }), ...(from !== undefined && { cause: from }) };
}
