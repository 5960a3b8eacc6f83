import type { Logger } from '../logger.js';
import { isOfModel, type ModelChange } from '../orm/model-change.js';
import { restore } from '../orm/model-snapshot.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { idFor } from './change-message.js';
import type { LeaveOut } from './group-names.js';
import type { MessageSender } from './message-sender.js';
import type { Observer } from './observer.js';
import type { RecheckMessage } from './recheck-message.js';
import { askedByHand, type RecheckRequest } from './rechecker.js';
import type { Revocation } from './revocation.js';

export interface RecheckParts {
  readonly observers: readonly Observer[];
  readonly unitOfWork: UnitOfWork;
  readonly logger: Logger;
}

/** What one commit changed: rows, and the signals that waited for it. */
export interface CommittedChanges {
  readonly changes: readonly ModelChange[];
  readonly signals: readonly SignalSent[];
}

/** Committed changes -> whose subscriptions have to be asked again -> channel layer, one message per observer. */
export class RecheckPublisher {
  readonly #parts: RecheckParts;
  readonly #sender: MessageSender;

  constructor(parts: RecheckParts, sender: MessageSender) {
    this.#parts = parts;
    this.#sender = sender;
  }

  /** What throws is logged: neither the writer nor the other observers hear of it. */
  async publish(committed: CommittedChanges): Promise<void> {
    for (const observer of this.#parts.observers) {
      const fail = (error: unknown): void =>
        this.#parts.logger.error('Subscriptions could not be asked again.', { observer: observer.id, error });
      try {
        await this.#ask(observer, committed, fail);
      } catch (error) {
        fail(error);
      }
    }
  }

  async #ask(
    observer: Observer,
    { changes, signals }: CommittedChanges,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const groups = new Set<string>(signals.flatMap((sent) => groupsByHand(observer, sent)));
    for (const revocation of observer.revocations) {
      for (const change of changes)
        for (const group of await this.#groupsOfChange(revocation, change, fail)) groups.add(group);
      for (const sent of signals)
        for (const group of await this.#groupsOfSignal(revocation, sent, fail)) groups.add(group);
    }
    if (groups.size === 0) return;
    const origin = [...changes, ...signals].find((each) => each.origin !== undefined)?.origin;
    const message: RecheckMessage = {
      type: 'recheck',
      ...idFor([...groups]),
      observer: observer.id,
      groups: [...groups],
      ...(origin !== undefined && { origin }),
    };
    await this.#sender.send([...groups], message, fail);
    await this.#sender.arrived();
  }

  /** Those before and after it: a membership may have moved from one room to another. */
  async #groupsOfChange(revocation: Revocation, change: ModelChange, fail: LeaveOut): Promise<readonly string[]> {
    const { entity, before, after } = change;
    if (!isOfModel(change, revocation.model)) return [];
    const unitOfWork = this.#parts.unitOfWork.of(entity);
    const groups: string[] = [];
    for (const row of [before, after]) {
      if (!row) continue;
      groups.push(...(await unitOfWork.run(() => revocation.groupsOf(restore(unitOfWork.em, entity, row), fail))));
    }
    return groups;
  }

  async #groupsOfSignal(
    { signal, groupsOf }: Revocation,
    sent: SignalSent,
    fail: LeaveOut,
  ): Promise<readonly string[]> {
    if (signal?.signal !== sent.signal || sent.atOnce) return [];
    return this.#parts.unitOfWork.run(() => groupsOf(sent.payload as object, fail));
  }
}

function groupsByHand(observer: Observer, { signal, payload }: SignalSent): readonly string[] {
  if (signal !== askedByHand) return [];
  const { observer: asked, groups } = payload as RecheckRequest;
  return asked === observer ? groups : [];
}
