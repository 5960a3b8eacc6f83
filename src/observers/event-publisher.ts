import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ActivityLog } from '../activity-log.js';
import { runDetached } from '../async-context.js';
import type { ChangeInspector } from '../inspection.js';
import type { Commit, ModelChange } from '../log/entry.js';
import type { Logger } from '../logger.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { LoggedRow, type StoredRow } from '../orm/row.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/rights.js';
import { everyRights, rightsKey } from '../serializers/field-rights.js';
import { ofKey, showKey } from '../serializers/model-key.js';
import { needsEntity, planRows, type RowPlan } from '../serializers/model-plan.js';
import { serializeAll, withOneOfEach } from '../serializers/serialize.js';
import type { SerializerClass, SerializerContext } from '../serializers/serializer.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { encodeData } from '../wire/codec.js';
import type { EventMessage, ObserverMessage, RecheckMessage } from './event-message.js';
import type { LeaveOut } from './group-names.js';
import { type Observer, shortGroups } from './observer.js';
import type { Revocation } from './revocation.js';
import type { SubscriptionIndex, SubscriptionRecord } from './subscription-index.js';

/** How many deliveries there are in one turn of the event loop before other work has its own. */
const slice = 250;

/** One change or signal as it is shown: once for each of the rights that its serializer knows. */
type Shown = Pick<EventMessage, 'data' | 'dataByRights'>;

/** Which commit a message is of. */
type Source = Pick<EventMessage, 'commit' | 'batch' | 'cause'>;

/** The groups of one observer on one side of a change. */
type Groups = ReadonlyMap<Observer, readonly string[]>;

/** A commit whose signals are what they were when they were sent. */
export interface PublishedCommit extends Omit<Commit, 'signals' | 'untold' | 'orders'> {
  readonly signals: readonly SignalSent[];
}

/**
 * Commits -> events of their observers -> subscriptions, in the order of the commits. Groups, serializers and bodies run here, once per
 * change and only where a subscription of this process is in one of the groups. One that throws is logged: neither the writer nor the
 * other observers notice.
 */
export class EventPublisher {
  #commits = 0;
  #tail: Promise<void> = Promise.resolve();
  readonly #byModel = new Map<object, readonly Observer[]>();

  constructor(
    private readonly observers: readonly Observer[],
    private readonly index: SubscriptionIndex,
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
    private readonly activity: ActivityLog | undefined,
    /** Undefined without an explorer. */
    private readonly inspector: ChangeInspector | undefined,
    private readonly resolve: <T>(provider: ConcreteClass<T>) => T,
  ) {}

  /** In a later turn of the event loop: the reply of the request that committed leaves first. @param batch the read that found them */
  publish(commits: readonly PublishedCommit[], batch = Number.POSITIVE_INFINITY): void {
    const turned = nextTurn();
    const publish = async (): Promise<void> => {
      await turned;
      for (const commit of commits) await this.#publish(commit, batch);
    };
    // Deliveries are no part of the request that sends a signal.
    this.#tail = runDetached(() => this.#tail.then(publish));
  }

  /** Resolves when all that was published until now has been handed to the subscriptions. */
  idle(): Promise<void> {
    return this.#tail;
  }

  async #publish(commit: PublishedCommit, batch: number): Promise<void> {
    const { cause } = commit;
    const source: Source = { commit: ++this.#commits, batch, ...(cause !== undefined && { cause }) };
    // Rights that the commit took away are asked for before all that it changed.
    const messages: ObserverMessage[] = await this.#rechecksOf(commit);
    for (const change of commit.changes) messages.push(...(await this.#eventsOf(change, source)));
    for (const signal of commit.signals) messages.push(...(await this.#eventsOfSignal(signal, source)));
    await this.#deliver(messages);
  }

  /** An observer that no subscription of this process listens to need not be asked; developers want to know all the same. */
  get #tellsDevelopers(): boolean {
    return this.inspector !== undefined || this.activity !== undefined;
  }

  #observersOf(change: ModelChange): readonly Observer[] {
    const known = this.#byModel.get(change.entity);
    if (known) return known;
    const observers = this.observers.filter(({ model }) => isOfModel(change, model));
    this.#byModel.set(change.entity, observers);
    return observers;
  }

  // Changes

  async #eventsOf(change: ModelChange, source: Source): Promise<readonly EventMessage[]> {
    const observers = this.#observersOf(change).filter((each) => this.#tellsDevelopers || this.index.heard.has(each));
    if (observers.length === 0) return [];
    try {
      return await this.#messagesOf(change, observers, source);
    } catch (error) {
      this.logger.error('A change could not be announced.', { model: change.meta.className, key: change.key, error });
      return [];
    }
  }

  /** The row before and the row after are two entities, each in a context of its own. */
  async #messagesOf(
    change: ModelChange,
    observers: readonly Observer[],
    source: Source,
  ): Promise<readonly EventMessage[]> {
    const { before: was, after: is } = change;
    let pk: unknown;
    const before = await this.#inRow(change, was, async (row) => {
      pk = row.key;
      return this.#groupsOf(observers, row, pk);
    });
    const messages: EventMessage[] = [];
    const tell = async (row: LoggedRow | undefined, after: Groups): Promise<void> => {
      const texts = new Map<SerializerClass, Promise<Shown>>();
      for (const observer of observers) {
        const sides = { before: before?.get(observer) ?? [], after: after.get(observer) ?? [] };
        this.#inspect(observer, source, pk, sides, was ? (is ? 'update' : 'delete') : 'create');
        const told: unknown = JSON.parse(encodeData(showKey(change.meta, pk)));
        const message = await this.#guard(observer, pk, () => this.#messageOf(observer, row, told, sides, texts));
        if (!message) continue;
        const judged = observer.visibility && observer.needsBefore && { change };
        messages.push({
          ...message,
          ...source,
          ...judged,
          ...(change.origin !== undefined && { origin: change.origin }),
        });
      }
    };
    const shown = await this.#inRow(change, is, async (row) => {
      pk = row.key;
      await tell(row, await this.#groupsOf(observers, row, pk));
      return true;
    });
    if (!shown) await tell(undefined, new Map());
    return messages;
  }

  async #messageOf(
    observer: Observer,
    row: LoggedRow | undefined,
    pk: unknown,
    { before, after }: Pick<EventMessage, 'before' | 'after'>,
    texts: Map<SerializerClass, Promise<Shown>>,
  ): Promise<Omit<EventMessage, keyof Source> | undefined> {
    const { groups: heard } = this.index;
    const groups = [...new Set([...before, ...after])];
    if (!groups.some((group) => heard.has(group))) return undefined;
    const isShown = row && after.some((group) => heard.has(group));
    const shown = isShown ? await this.#textOf(observer, row, pk, texts) : undefined;
    return { observer, pk, before, after, groups, ...shown };
  }

  #inRow<T>(
    { entity, meta, schema }: ModelChange,
    row: StoredRow | undefined,
    work: (row: LoggedRow) => Promise<T>,
  ): Promise<T | undefined> {
    if (!row) return Promise.resolve(undefined);
    return this.unitOfWork.of(entity).runWith(meta, row, schema, work);
  }

  /** An entity is made of the row for the groups that its key does not say. */
  async #groupsOf(observers: readonly Observer[], row: LoggedRow, pk: unknown): Promise<Groups> {
    const groups = new Map<Observer, readonly string[]>();
    for (const observer of observers) {
      const byKey = observer.groupsOfKey?.(pk);
      const ask = async (): Promise<string[]> =>
        observer.lets
          ? this.#askedFor(observer, observer.lets, row)
          : observer.groupsOfRow(row.entity, this.#leaveOut(observer, pk));
      groups.set(observer, byKey ?? (await this.#guard(observer, pk, ask)) ?? []);
    }
    return groups;
  }

  /** The groups of this process' subscriptions that ask for a row. */
  #askedFor(observer: Observer, lets: NonNullable<Observer['lets']>, row: LoggedRow): string[] {
    return this.index.groupsOf(observer).filter((group) => {
      const kwargs = this.index.kwargsOf(group);
      return kwargs !== undefined && lets(kwargs, row);
    });
  }

  async #guard<T>(observer: Observer, pk: unknown, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.logger.error('A change could not be announced.', { observer: observer.id, pk, error });
      return undefined;
    }
  }

  /** The other groups of a change are told of it nevertheless. */
  #leaveOut({ id }: Observer, pk: unknown): LeaveOut {
    return (error) => this.logger.error('A group of a change was left out.', { observer: id, pk, error });
  }

  /** Several observers may show a row by the same serializer. */
  #textOf(
    observer: Observer,
    row: LoggedRow,
    pk: unknown,
    texts: Map<SerializerClass, Promise<Shown>>,
  ): Promise<Shown> {
    const { serializer, body } = observer;
    if (body) return this.#show(observer, row.entity);
    if (!serializer) return Promise.resolve({ data: encodeData({ pk }) });
    const text = texts.get(serializer) ?? this.#show(observer, row);
    texts.set(serializer, text);
    return text;
  }

  async #show({ serializer, body, model, hasRights }: Observer, subject: object): Promise<Shown> {
    if (body) return { data: encodeData(await body(subject as never)) };
    if (!serializer) return { data: encodeData(subject) };
    const unitOfWork = model ? this.unitOfWork.of(model) : this.unitOfWork;
    const textBy = async (rights?: GivenRights): Promise<string> => {
      const context = { unitOfWork, resolve: this.resolve, ...(rights && { rights }) };
      return encodeData(await showLogged(serializer, subject, context));
    };
    if (!hasRights) return { data: await textBy() };
    const texts: [key: string, text: string][] = [];
    for (const rights of everyRights(serializer)) texts.push([rightsKey(serializer, rights), await textBy(rights)]);
    const [[, least] = ['', 'null'], ...others] = texts;
    return { data: least, ...(others.length > 0 && { dataByRights: Object.fromEntries(others) }) };
  }

  // Signals

  async #eventsOfSignal(sent: SignalSent, source: Source): Promise<readonly EventMessage[]> {
    const messages: EventMessage[] = [];
    for (const observer of this.observers) {
      if (observer.signal?.signal !== sent.signal || observer.signal.atOnce !== sent.atOnce) continue;
      if (!this.#tellsDevelopers && !this.index.heard.has(observer)) continue;
      try {
        const message = await this.#eventOfSignal(observer, sent, source);
        if (message) messages.push(message);
      } catch (error) {
        this.logger.error('A signal could not be announced.', { observer: observer.id, error });
      }
    }
    return messages;
  }

  async #eventOfSignal(
    observer: Observer,
    { payload, origin }: SignalSent,
    source: Source,
  ): Promise<EventMessage | undefined> {
    if (!observer.signal?.when(payload)) return undefined;
    const subject = payload as object;
    const after = await this.unitOfWork.run(() => observer.groupsOfRow(subject, this.#leaveOut(observer, null)));
    this.#inspect(observer, source, null, { before: [], after }, 'signal');
    if (!after.some((group) => this.index.groups.has(group))) return undefined;
    const shown = await this.unitOfWork.run(() => this.#show(observer, subject));
    return {
      observer,
      pk: null,
      before: [],
      after,
      groups: after,
      ...source,
      ...shown,
      ...(origin !== undefined && { origin }),
    };
  }

  // Revocation

  async #rechecksOf(commit: PublishedCommit): Promise<RecheckMessage[]> {
    const messages: RecheckMessage[] = [];
    for (const observer of this.observers) {
      if (!this.index.heard.has(observer)) continue;
      const fail = (error: unknown): void =>
        this.logger.error('Subscriptions could not be asked again.', { observer: observer.id, error });
      try {
        const recheck = await this.#recheckedGroups(observer, commit, fail);
        if (recheck.length > 0) messages.push({ observer, recheck, ...originOf(commit) });
      } catch (error) {
        fail(error);
      }
    }
    return messages;
  }

  async #recheckedGroups(observer: Observer, commit: PublishedCommit, fail: LeaveOut): Promise<readonly string[]> {
    const groups = new Set(commit.rechecks.flatMap((each) => (each.observer === observer.id ? each.groups : [])));
    for (const revocation of observer.revocations) {
      for (const change of commit.changes)
        for (const group of await this.#revokedByChange(revocation, change, fail)) groups.add(group);
      for (const { signal, payload, atOnce } of commit.signals) {
        if (revocation.signal?.signal !== signal || atOnce) continue;
        const found = await this.unitOfWork.run(() => revocation.groupsOf(payload as object, fail));
        for (const group of found) groups.add(group);
      }
    }
    return [...groups];
  }

  /** Those before and after it: a membership may have moved from one room to another. */
  async #revokedByChange(revocation: Revocation, change: ModelChange, fail: LeaveOut): Promise<readonly string[]> {
    if (!isOfModel(change, revocation.model)) return [];
    const groups: string[] = [];
    for (const row of [change.before, change.after])
      groups.push(...((await this.#inRow(change, row, ({ entity }) => revocation.groupsOf(entity, fail))) ?? []));
    return groups;
  }

  // To the subscriptions

  /**
   * What one commit means to a subscription reaches it together, so that it can leave in one write. A large audience is told in
   * slices: other work has its turn between them.
   */
  async #deliver(messages: readonly ObserverMessage[]): Promise<void> {
    if (messages.length === 0) return;
    let left = slice;
    for (const [record, own] of this.#recipients(messages)) {
      if (left <= 0) {
        await nextTurn();
        left = slice;
      }
      for (const message of own) record.receiver.receive(message, record);
      left -= own.length;
    }
  }

  #recipients(
    messages: readonly ObserverMessage[],
  ): Iterable<readonly [SubscriptionRecord, readonly ObserverMessage[]]> {
    const audiences = messages.map((message) =>
      this.index.audience('recheck' in message ? message.recheck : message.groups),
    );
    const [first = []] = audiences;
    if (audiences.every((audience) => audience === first)) return first.map((record) => [record, messages] as const);
    const recipients = new Map<SubscriptionRecord, ObserverMessage[]>();
    audiences.forEach((audience, number) => {
      const message = messages[number];
      for (const record of audience) {
        const own = recipients.get(record);
        if (own && message) own.push(message);
        else if (message) recipients.set(record, [message]);
      }
    });
    return recipients;
  }

  /** Tells developers. */
  #inspect(
    observer: Observer,
    { commit }: Source,
    pk: unknown,
    { before, after }: Pick<EventMessage, 'before' | 'after'>,
    change: 'create' | 'update' | 'delete' | 'signal',
  ): void {
    const { id, consumer, member, model, signal } = observer;
    if (before.length + after.length > 0)
      this.activity?.announced({ observer, commit, pk, before, after }, signal?.name);
    this.inspector?.published({
      pk,
      change,
      commit,
      observer: id,
      consumer: consumer.name,
      member,
      subject: model?.name ?? signal?.name ?? member,
      before: shortGroups(id, before),
      after: shortGroups(id, after),
    });
  }
}

/** Rows of a subclass are rows of the model too. */
export function isOfModel({ entity }: ModelChange, model: Class | undefined): boolean {
  return model !== undefined && (entity === model || entity.prototype instanceof model);
}

/** A row as the log has it shows itself where its serializer needs no entity; a payload is serialized as it is. */
async function showLogged(serializer: SerializerClass, subject: object, context: SerializerContext): Promise<unknown> {
  if (!(subject instanceof LoggedRow)) return (await serializeAll(serializer, [subject], context))[0];
  const plan = await planRows(serializer, context.unitOfWork, context.rights);
  const shown = needsEntity(plan) ? undefined : await showStored(plan, subject, withOneOfEach(context));
  return shown ?? (await serializeAll(serializer, [subject.entity], context))[0];
}

/** What other tables say of the row is read where the commit has not said it. Undefined where an entity is needed. */
async function showStored(plan: RowPlan, row: LoggedRow, context: SerializerContext): Promise<unknown> {
  const shown = await plan.showStored?.(row.stored, context);
  if (shown || !plan.showBoth) return shown;
  const { queries, reader } = context.unitOfWork;
  const { selection, related } = plan;
  if (row.schema !== reader.schema || (await queries.hasFilters(reader, related))) return undefined;
  const [now] = await queries.rows(reader, selection, { where: ofKey(selection.meta, row.key), limit: 1 });
  return now && plan.showBoth(row.stored, now, context);
}

/** The request that asks, or whose commit has subscriptions asked again. */
function originOf({ changes, signals, rechecks }: PublishedCommit): { readonly origin?: string } {
  const origin = [...changes, ...signals, ...rechecks].find((each) => each.origin !== undefined)?.origin;
  return origin === undefined ? {} : { origin };
}
