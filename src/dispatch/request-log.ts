import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import { logContext } from '../log-context.js';
import type { LogFields, Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';
import { userKeyOf } from '../scope/user-key.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { readTraceParent } from '../trace-parent.js';
import type { Tracer, TraceSpan } from '../tracer.js';
import type { RequestId } from '../wire/messages.js';
import type { ActionTarget } from './action-target.js';
import type { Exchange } from './exchange.js';

export interface RequestLogParts {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly tracer: Tracer;
  readonly logger: Logger;
  readonly settings: Settings;
}

/** An event that was kept from a subscription. */
export interface RefusedDelivery {
  readonly observer: string;
  readonly event: string;
  readonly requestId: RequestId;
}

/** What is told of every request: one log line, one span, one count. Never what was in it. */
export class RequestLog {
  readonly #parts: RequestLogParts;

  constructor(parts: RequestLogParts) {
    this.#parts = parts;
  }

  /** Runs the work, whose log lines say which request they belong to. */
  async follow(target: ActionTarget, exchange: Exchange, work: () => Promise<void>): Promise<void> {
    const { clock, tracer } = this.#parts;
    const begun = clock.now().getTime();
    const { consumer, action } = factsOf(target, exchange);
    await tracer.run(
      `${consumer} ${action}`,
      { 'signalbox.consumer': consumer, 'signalbox.action': action },
      async (span) => {
        const context = { ...factsOf(target, exchange), ...tracesOf(span) };
        exchange.whenEnded(() => {
          span.end(exchange.status);
          logContext.run(context, () => this.#tell(action, exchange.status, clock.now().getTime() - begun));
        });
        return logContext.run(context, work);
      },
    );
  }

  /** A request that is answered, or has nobody to be answered to, before anything of it ran. */
  noteUnbegun(target: ActionTarget, exchange: Exchange): void {
    const facts = factsOf(target, exchange);
    logContext.run(facts, () => this.#tell(facts.action, exchange.status, 0));
  }

  /** Work that goes on although it was aborted: nobody can stop it, and it counts against its connection. */
  watchAborted(target: ActionTarget, exchange: Exchange): void {
    const { clock, counters, logger, settings } = this.#parts;
    const facts = factsOf(target, exchange);
    const timer = clock.after(settings.closeTimeout, () => {
      counters.increment('signalbox.abandoned_actions', { action: facts.action });
      logger.warn('An action goes on although it was aborted: heed context.signal.', facts);
    });
    void exchange.settled.then(() => timer.cancel());
  }

  /**
   * Runs the delivery of an event to a subscription, whose log lines say which commit it comes from.
   *
   * @param cause the trace of the commit
   * @param work gives false where the event was refused
   */
  async followDelivery(observer: string, cause: string, work: () => Promise<boolean | void> | void): Promise<void> {
    const attributes = { 'signalbox.observer': observer };
    await this.#parts.tracer.deliver(`deliver ${observer}`, attributes, cause, async (span) => {
      let status: number = Status.serverError;
      try {
        const passed = await logContext.run(tracesOf(span, cause), work);
        status = passed === false ? Status.forbidden : Status.ok;
      } finally {
        span.end(status);
      }
    });
  }

  /** An event that a permission kept from its subscription. */
  noteRefusal(scope: Scope, facts: RefusedDelivery): void {
    const { logger, counters, settings } = this.#parts;
    counters.increment('signalbox.refused_deliveries', { observer: facts.observer });
    const level = settings.log.actions;
    if (level) logger[level]('A delivery was refused.', { ...facts, path: scope.path, user: userKeyOf(scope) });
  }

  #tell(action: string, status: number | undefined, duration: number): void {
    const { logger, counters, settings } = this.#parts;
    counters.increment('signalbox.actions', { action, status: String(status ?? 'disconnected') });
    const level = settings.log.actions;
    if (level) logger[level]('An action was answered.', { status: status ?? null, duration });
  }
}

/** Which trace the work is in, and which one it comes from. */
function tracesOf({ traceId }: TraceSpan, cause?: string): LogFields {
  const from = readTraceParent(cause)?.traceId;
  return { ...(traceId !== undefined && { trace: traceId }), ...(from !== undefined && { cause: from }) };
}

/** Names that only declared actions bear, so that no client can make up counters. */
function factsOf({ scope, instance, actions }: ActionTarget, { request }: Exchange): RequestFacts {
  const action = actions.find(request.action)?.name ?? 'unknown';
  const user = userKeyOf(scope);
  return {
    consumer: instance.constructor.name,
    action,
    requestId: request.requestId,
    path: scope.path,
    ...(user !== undefined && { user }),
  };
}

interface RequestFacts extends LogFields {
  readonly consumer: string;
  readonly action: string;
}
