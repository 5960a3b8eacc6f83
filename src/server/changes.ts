import { ChangePublisher, type PublisherParts } from '../observers/change-publisher.js';
import { observedBy } from '../observers/observer.js';
import { Rechecker } from '../observers/rechecker.js';
import { receiveSignals } from '../observers/signal-receivers.js';
import { type Committed, ModelSubscriber } from '../orm/model-subscriber.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { warnOfUnreportedWrites } from '../orm/unreported-writes.js';
import type { Tracer } from '../tracer.js';
import { type ConnectionRule, modelOf, signalOf } from './connection-rule.js';

/** What leads from a commit or a signal to those who observe it. */
export interface Changes {
  readonly publisher: ChangePublisher;
  readonly subscriber: ModelSubscriber;
  readonly rechecker: Rechecker;
  /** Begins to listen to signals, and in development to writes of which nobody is told. @returns what ends it */
  listen(): () => void;
}

export interface ChangesParts extends PublisherParts {
  readonly orm: OrmRoot;
  readonly tracer: Pick<Tracer, 'current'>;
  readonly isDevelopment: boolean;
  /** What commits do to connections. */
  readonly rules: readonly ConnectionRule[];
  readonly applyRules: Committed;
}

export function buildChanges(parts: ChangesParts): Changes {
  const { orm, observers, logger, tracer, isDevelopment, rules, applyRules } = parts;
  const publisher = new ChangePublisher(parts);
  const revocations = observers.flatMap((observer) => observer.revocations);
  const ruling = rules.flatMap((rule) => modelOf(rule) ?? []).map((model) => ({ model }));
  const isObserved = observedBy([...observers, ...revocations, ...ruling]);
  const subscriber = new ModelSubscriber(
    (changes, signals, cause) => {
      publisher.publish(changes, signals, cause);
      applyRules(changes, signals);
    },
    observedBy([...observers.filter(({ groupsVary }) => groupsVary), ...revocations]),
    isObserved,
    () => tracer.current(),
  );
  const listen = (): (() => void) => {
    const others = rules.flatMap((rule) => signalOf(rule) ?? []);
    const stopSignals = receiveSignals(observers, others, (sent) => subscriber.stageSignal(orm.em, sent));
    const stopWarnings = isDevelopment ? warnOfUnreportedWrites(orm.em, isObserved, logger) : undefined;
    return () => {
      stopSignals();
      stopWarnings?.();
    };
  };
  const rechecker = new Rechecker(observers, (sent) => subscriber.stageSignal(orm.em, sent));
  return { publisher, subscriber, rechecker, listen };
}
