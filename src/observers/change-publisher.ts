import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { ActivityLog } from '../activity-log.js';
import type { ChangeInspector, PublishedEvent } from '../inspection.js';
import type { ConcreteClass } from '../metadata.js';
import { isOfModel, type ModelChange, type RowData } from '../orm/model-change.js';
import { restore } from '../orm/model-snapshot.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { everyRights, rightsKey } from '../serializers/field-rights.js';
import { serializeAll } from '../serializers/serialize.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { encodeData } from '../wire/codec.js';
import { type ChangeMessage, idFor } from './change-message.js';
import { groupsConcerned } from './group-diff.js';
import type { LeaveOut } from './group-names.js';
import { MessageSender, type SenderParts } from './message-sender.js';
import { type Observer, shortGroups } from './observer.js';
import { RecheckPublisher } from './recheck-publisher.js';

export interface PublisherParts extends SenderParts {
  readonly observers: readonly Observer[];
  readonly unitOfWork: UnitOfWork;
  readonly activity: ActivityLog | undefined;
  /** Absent without an explorer. */
  readonly inspector?: ChangeInspector | undefined;
  resolve<T>(provider: ConcreteClass<T>): T;
}

/** One change as it is shown: once for each of the rights that its serializer knows. */
type Shown = Pick<ChangeMessage, 'data' | 'dataByRights'>;

/** Which commit it was, and what it belonged to. */
type Commit = Pick<ChangeMessage, 'commit' | 'cause'>;

type Fail = (error: unknown) => void;

/** By serializer: several observers may show a row by the same one. */
type Texts = Map<SerializerClass, Promise<Shown>>;

/**
 * Committed changes -> groups -> channel layer, in the order of the commits. An observer or a serializer that throws is
 * logged; neither the writer nor the other observers hear of it.
 */
export class ChangePublisher {
  /** Tells this process from the others on the channel layer. */
  readonly source = randomUUID();
  readonly #parts: PublisherParts;
  readonly #rechecks: RecheckPublisher;
  readonly #sender: MessageSender;
  /** How many commits there were until now: a subscription hears of those that follow. */
  commits = 0;
  #tail: Promise<void> = Promise.resolve();
  #turned: Promise<void> | undefined;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#sender = new MessageSender(parts);
    this.#rechecks = new RecheckPublisher(parts, this.#sender);
  }

  /** In a later turn of the event loop: the reply of the request that committed leaves first. */
  publish(changes: readonly ModelChange[], signals: readonly SignalSent[] = [], cause?: string): void {
    const commit = { commit: ++this.commits, ...(cause !== undefined && { cause }) };
    const turned = this.#turned ?? this.#turn();
    this.#tail = this.#tail.then(async () => {
      await turned;
      // Before all that the same commit changed, whatever came first in it.
      await this.#rechecks.publish({ changes, signals });
      for (const change of changes) await this.#publishOne(change, commit);
      for (const signal of signals) await this.#publishSignal(signal, commit);
    });
  }

  /** Resolves when all that was committed until now has been handed to the channel layer. */
  async idle(): Promise<void> {
    await this.#tail;
    await this.#sender.arrived();
  }

  /** What is committed in one turn of the event loop is told in one. */
  #turn(): Promise<void> {
    this.#turned = setImmediate().then(() => {
      this.#turned = undefined;
    });
    return this.#turned;
  }

  async #publishOne(change: ModelChange, commit: Commit): Promise<void> {
    const texts: Texts = new Map();
    for (const observer of this.#parts.observers) {
      if (!isOfModel(change, observer.model)) continue;
      const fail = (error: unknown): void =>
        this.#parts.logger.error('A change could not be announced.', { observer: observer.id, pk: change.pk, error });
      try {
        await this.#tell(observer, change, commit, texts, fail);
      } catch (error) {
        fail(error);
      }
    }
  }

  async #publishSignal(sent: SignalSent, commit: Commit): Promise<void> {
    for (const observer of this.#parts.observers) {
      if (observer.signal?.signal !== sent.signal || observer.signal.atOnce !== sent.atOnce) continue;
      const fail = (error: unknown): void =>
        this.#parts.logger.error('A signal could not be announced.', { observer: observer.id, error });
      try {
        await this.#tellSignal(observer, sent, commit, fail);
      } catch (error) {
        fail(error);
      }
    }
  }

  async #tellSignal(observer: Observer, { payload, origin }: SignalSent, commit: Commit, fail: Fail): Promise<void> {
    const { unitOfWork } = this.#parts;
    if (!observer.signal?.when(payload)) return;
    const subject = payload as object;
    const after = await unitOfWork.run(() => observer.groupsOfRow(subject, this.#leaveOut(observer, null)));
    this.#parts.inspector?.published(
      publishedEvent(observer, commit, { pk: null, before: [], after, change: 'signal' }),
    );
    if (after.length === 0) return;
    const shown = await unitOfWork.run(() => this.#show(observer, subject, unitOfWork));
    const message: ChangeMessage = {
      type: 'change',
      ...idFor(after),
      observer: observer.id,
      source: this.source,
      ...commit,
      pk: null,
      before: [],
      after,
      ...shown,
      ...(origin !== undefined && { origin }),
    };
    this.#parts.activity?.announced(message, observer.signal.name);
    await this.#sender.send(after, message, fail);
  }

  async #tell(observer: Observer, change: ModelChange, commit: Commit, texts: Texts, fail: Fail): Promise<void> {
    const before = await this.#groupsOf(observer, change, change.before);
    const after = await this.#groupsOf(observer, change, change.after);
    if (this.#parts.inspector) {
      const kind = !change.before ? 'create' : change.after ? 'update' : 'delete';
      const { pk } = change;
      this.#parts.inspector.published(publishedEvent(observer, commit, { pk, before, after, change: kind }));
    }
    if (before.length + after.length === 0) return;
    const shown = after.length > 0 ? await this.#textOf(observer, change, texts) : undefined;
    const groups = groupsConcerned(before, after);
    const message: ChangeMessage = {
      type: 'change',
      ...idFor(groups),
      observer: observer.id,
      source: this.source,
      ...commit,
      pk: JSON.parse(encodeData(change.pk)) as unknown,
      before,
      after,
      ...shown,
      ...(change.origin !== undefined && { origin: change.origin }),
    };
    this.#parts.activity?.announced(message);
    await this.#sender.send(groups, message, fail);
  }

  async #groupsOf(observer: Observer, { entity, pk }: ModelChange, row: RowData | undefined): Promise<string[]> {
    if (!row) return [];
    const unitOfWork = this.#parts.unitOfWork.of(entity);
    const leaveOut = this.#leaveOut(observer, pk);
    return unitOfWork.run(() => observer.groupsOfRow(restore(unitOfWork.em, entity, row), leaveOut));
  }

  /** The other groups of a change are told of it nevertheless. */
  #leaveOut({ id }: Observer, pk: unknown): LeaveOut {
    return (error) => this.#parts.logger.error('A group of a change was left out.', { observer: id, pk, error });
  }

  #textOf(observer: Observer, change: ModelChange, texts: Texts): Promise<Shown> {
    const { serializer, body } = observer;
    if (body) return this.#serialize(observer, change);
    if (!serializer) return Promise.resolve({ data: encodeData({ pk: change.pk }) });
    const known = texts.get(serializer);
    if (known) return known;
    const text = this.#serialize(observer, change);
    texts.set(serializer, text);
    return text;
  }

  #serialize(observer: Observer, { entity, after = {} }: ModelChange): Promise<Shown> {
    const unitOfWork = this.#parts.unitOfWork.of(entity);
    return unitOfWork.run(() => this.#show(observer, restore(unitOfWork.em, entity, after), unitOfWork));
  }

  async #show({ serializer, body }: Observer, subject: object, unitOfWork: UnitOfWork): Promise<Shown> {
    if (body) return { data: encodeData(await body(subject as never)) };
    if (!serializer) return { data: encodeData(subject) };
    const { resolve } = this.#parts;
    const texts: [key: string, text: string][] = [];
    for (const rights of everyRights(serializer)) {
      const [data] = await serializeAll(serializer, [subject], { unitOfWork, resolve, rights });
      texts.push([rightsKey(serializer, rights), encodeData(data)]);
    }
    const [[, least] = ['', 'null'], ...others] = texts;
    return { data: least, ...(others.length > 0 && { dataByRights: Object.fromEntries(others) }) };
  }
}

function publishedEvent(
  { id, consumer, member, model, signal }: Observer,
  { commit }: Commit,
  { before, after, ...rest }: Pick<PublishedEvent, 'pk' | 'change' | 'before' | 'after'>,
): PublishedEvent {
  return {
    ...rest,
    commit,
    observer: id,
    consumer: consumer.name,
    member,
    subject: model?.name ?? signal?.name ?? member,
    before: shortGroups(id, before),
    after: shortGroups(id, after),
  };
}
