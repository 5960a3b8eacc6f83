import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ActivityLog } from '../activity-log.js';
import { runDetached } from '../async-context.js';
import type { ChangeInspector } from '../inspection.js';
import type { Commit, ModelChange } from '../log/entry.js';
import type { Logger } from '../logger.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { isPassingFailure } from '../orm/orm-errors.js';
import { outlastFailures } from '../orm/passing-failures.js';
import { LoggedRow, type UnitOfWork } from '../orm/unit-of-work.js';
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
import type { SubscriptionIndex, SubscriptionRecord } from './subscriptions.js';

/** The number of deliveries in one turn of the event loop, before other work gets its turn. */
const slice = 250;

/** One change or signal as its serializer shows it, once for each combination of rights. */
type Shown = Pick<EventMessage, 'data' | 'dataByRights'>;

/** The commit that a message comes from. */
type Source = Pick<EventMessage, 'commit' | 'batch' | 'cause'>;

/** The observers and revocations of one entity's rows. */
interface Listeners {
  readonly unitOfWork: UnitOfWork;
  readonly observers: readonly Observer[];
  /** The rules that take away the right to receive an observer's events. */
  readonly revoking: readonly { readonly observer: Observer; readonly revocation: Revocation }[];
}

/** A row before or after a change, and its groups for each observer. */
interface Side {
  readonly row: LoggedRow;
  readonly groups: ReadonlyMap<Observer, readonly string[]>;
}

/** The effects of a commit on the subscriptions of this process. */
class Effects {
  readonly rechecks = new Map<Observer, Set<string>>();
  readonly events: EventMessage[] = [];

  recheck(observer: Observer, groups: readonly string[]): void {
    if (groups.length === 0) return;
    this.rechecks.set(observer, new Set([...(this.rechecks.get(observer) ?? []), ...groups]));
  }
}

/** The observers that a change or a signal has not reached yet, because the database failed temporarily. */
class PassingFailures {
  readonly #errors = new Map<Observer, unknown>();

  /** @returns whether the failure is temporary */
  note(observer: Observer, error: unknown): boolean {
    if (!isPassingFailure(error)) return false;
    this.#errors.set(observer, error);
    return true;
  }

  has(observer: Observer): boolean {
    return this.#errors.has(observer);
  }

  /** @throws the first failure, if there is one */
  throwFirst(): void {
    for (const error of this.#errors.values()) throw error;
  }
}

/** A commit whose signals are decoded payloads. */
export interface PublishedCommit extends Omit<Commit, 'signals' | 'untold' | 'commands'> {
  readonly signals: readonly SignalSent[];
}

/**
 * Turns commits into events of their observers and hands these to subscriptions, in the order of the commits. Group methods, serializers
 * and bodies run here, once per change, and only if a subscription of this process is in one of the groups. If one throws, the error is
 * logged; the writer and the other observers are not affected. If the database fails temporarily, the work is repeated and later commits
 * wait; if it fails for too long, the subscriptions concerned count as having missed the change.
 */
export class EventPublisher {
  #commits = 0;
  #tail: Promise<void> = Promise.resolve();
  readonly #listeners = new Map<object, Listeners>();
  /** Whether observers without a subscription in this process run too, for the explorer. */
  readonly #tellsDevelopers: boolean;

  constructor(
    private readonly observers: readonly Observer[],
    private readonly index: SubscriptionIndex,
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
    private readonly activity: ActivityLog | undefined,
    /** Undefined without an explorer. */
    private readonly inspector: ChangeInspector | undefined,
    private readonly resolve: <T>(provider: ConcreteClass<T>) => T,
    /** Milliseconds in which work is repeated after a failure of the database. */
    private readonly retryTimeLimit: number,
    /** Called when the subscriptions to some observers have missed a change. */
    private readonly missed: (reason: string, observers: ReadonlySet<Observer>) => void,
  ) {
    this.#tellsDevelopers = inspector !== undefined || activity !== undefined;
  }

  /**
   * Publishes commits in a later turn of the event loop, so that the reply of the request that committed leaves first.
   *
   * @param batch the read that found the commits
   */
  publish(commits: readonly PublishedCommit[], batch = Number.POSITIVE_INFINITY): void {
    const turned = nextTurn();
    const publish = async (): Promise<void> => {
      await turned;
      for (const commit of commits) await this.#publish(commit, batch);
    };
    // Deliveries do not belong to the request that sends a signal.
    this.#tail = runDetached(() => this.#tail.then(publish));
  }

  /** Resolves when everything published until now has been handed to the subscriptions. */
  idle(): Promise<void> {
    return this.#tail;
  }

  /** Whether a subscription of this process or the explorer would receive a change of the class' rows, or be rechecked because of it. */
  isHeard(entity: ModelChange['entity']): boolean {
    const { observers, revoking } = this.#heardOf({ entity });
    return observers.length + revoking.length > 0;
  }

  async #publish(commit: PublishedCommit, batch: number): Promise<void> {
    const { changes, signals, rechecks, cause } = commit;
    const source: Source = { commit: ++this.#commits, batch, ...(cause !== undefined && { cause }) };
    const effects = new Effects();
    for (const { observer: id, groups } of rechecks) {
      const observer = this.observers.find((each) => each.id === id);
      if (observer && this.index.heard.has(observer)) effects.recheck(observer, groups);
    }
    for (const change of changes) await this.#readChange(change, source, effects);
    for (const signal of signals) await this.#readSignal(signal, source, effects);
    // Rights that the commit took away are rechecked before any of its events is sent.
    const asking = [...effects.rechecks].map(
      ([observer, groups]): RecheckMessage => ({ observer, recheck: [...groups], ...originOf(commit) }),
    );
    if (asking.length + effects.events.length > 0) await this.#deliver([...asking, ...effects.events]);
  }

  /** Does work for observers, and repeats it for those whose work failed because of a temporary failure of the database. */
  async #tellAll(
    observers: Iterable<Observer>,
    work: (left: ReadonlySet<Observer>, failures: PassingFailures) => Promise<void>,
  ): Promise<void> {
    let left: ReadonlySet<Observer> = new Set(observers);
    const attempt = async (): Promise<void> => {
      const failures = new PassingFailures();
      await work(left, failures);
      left = new Set([...left].filter((observer) => failures.has(observer)));
      failures.throwFirst();
    };
    try {
      await outlastFailures(attempt, { timeLimit: this.retryTimeLimit });
    } catch (error) {
      this.logger.error('The database failed for too long while the events of a change were made.', {
        observers: [...left].map(({ id }) => id),
        error,
      });
      this.missed('The database failed for too long while the events of a change were made.', left);
    }
  }

  // Changes

  #readChange(change: ModelChange, source: Source, effects: Effects): Promise<void> | void {
    const { unitOfWork, observers, revoking } = this.#heardOf(change);
    if (observers.length + revoking.length === 0) return;
    return this.#tellAll([...observers, ...revoking.map(({ observer }) => observer)], (left, failures) => {
      const listeners = {
        unitOfWork,
        observers: observers.filter((observer) => left.has(observer)),
        revoking: revoking.filter(({ observer }) => left.has(observer)),
      };
      return this.#tryChange(change, listeners, source, effects, failures);
    });
  }

  /** Handles one change. The row before and the row after are two entities, each in a context of its own, made once for all observers. */
  async #tryChange(
    change: ModelChange,
    listeners: Listeners,
    source: Source,
    effects: Effects,
    failures: PassingFailures,
  ): Promise<void> {
    const { unitOfWork } = listeners;
    const { meta, schema, before: was, after: is } = change;
    const sideOf = (row: LoggedRow): Promise<Side> => this.#sideOf(row, listeners, effects, failures);
    try {
      const before = was && (await unitOfWork.runWith(meta, was, schema, sideOf));
      if (!is) return await this.#tell(change, listeners, { before }, source, effects, failures);
      await unitOfWork.runWith(meta, is, schema, async (row) => {
        const after = await sideOf(row);
        await this.#tell(change, listeners, { before, after }, source, effects, failures);
      });
    } catch (error) {
      this.logger.error('A change could not be sent as an event.', { model: meta.className, key: change.key, error });
    }
  }

  /** The observers and revocations of an entity that some subscription of this process listens to. */
  #heardOf({ entity }: Pick<ModelChange, 'entity'>): Listeners {
    const { unitOfWork, observers, revoking } = this.#listeners.get(entity) ?? this.#listenersOf({ entity });
    const { heard } = this.index;
    return {
      unitOfWork,
      observers: this.#tellsDevelopers ? observers : observers.filter((observer) => heard.has(observer)),
      revoking: revoking.filter(({ observer }) => heard.has(observer)),
    };
  }

  #listenersOf(change: Pick<ModelChange, 'entity'>): Listeners {
    const revoking = this.observers.flatMap((observer) =>
      observer.revocations.map((revocation) => ({ observer, revocation })),
    );
    const listeners = {
      observers: this.observers.filter(({ model }) => isOfModel(change, model)),
      revoking: revoking.filter(({ revocation }) => isOfModel(change, revocation.model)),
      unitOfWork: this.unitOfWork.of(change.entity),
    };
    this.#listeners.set(change.entity, listeners);
    return listeners;
  }

  /**
   * The groups of a row. An entity is made only for groups that the row's key does not determine. If one group method throws, the others
   * still count.
   */
  async #sideOf(
    row: LoggedRow,
    { observers, revoking }: Listeners,
    effects: Effects,
    failures: PassingFailures,
  ): Promise<Side> {
    const pk = row.key;
    // A membership may have moved from one room to another, so the groups before the change count as well.
    for (const { observer, revocation } of revoking) {
      const fail = this.#unasked(observer);
      try {
        effects.recheck(observer, await revocation.groupsOf(row.entity, fail));
      } catch (error) {
        if (!failures.note(observer, error)) fail(error);
      }
    }
    const groups = new Map<Observer, readonly string[]>();
    for (const observer of observers) {
      const { id } = observer;
      const leaveOut: LeaveOut = (error) =>
        this.logger.error('A group of a change was left out.', { observer: id, pk, error });
      try {
        const known = observer.groupsOfKey?.(pk) ?? (observer.lets && this.#askedFor(observer, observer.lets, row));
        groups.set(observer, known ?? (await observer.groupsOfRow(row.entity, leaveOut)));
      } catch (error) {
        if (!failures.note(observer, error)) this.#noteUntold(observer, pk, error);
      }
    }
    return { row, groups };
  }

  /** The groups of this process' subscriptions that ask for a row. */
  #askedFor(observer: Observer, lets: NonNullable<Observer['lets']>, row: LoggedRow): string[] {
    return this.index.groupsOf(observer).filter((group) => {
      const kwargs = this.index.kwargsOf(group);
      return kwargs !== undefined && lets(kwargs, row);
    });
  }

  /** Makes one event for each observer whose groups are known, in the context of the row after the change, if there is one. */
  async #tell(
    change: ModelChange,
    { unitOfWork, observers }: Listeners,
    { before, after }: { readonly before: Side | undefined; readonly after?: Side },
    source: Source,
    effects: Effects,
    failures: PassingFailures,
  ): Promise<void> {
    const { groups: heard } = this.index;
    const pk = (after ?? before)?.row.key;
    const kind = before ? (after ? 'update' : 'delete') : 'create';
    const shown = new Map<SerializerClass, Promise<Shown>>();
    let key: unknown;
    for (const observer of observers) {
      // Only the revocations may have failed: an event must not be made twice.
      if (failures.has(observer)) continue;
      if ((before && !before.groups.has(observer)) || (after && !after.groups.has(observer))) continue;
      const sides = { before: before?.groups.get(observer) ?? [], after: after?.groups.get(observer) ?? [] };
      this.#inspect(observer, source, pk, sides, kind);
      const groups = [...new Set([...sides.before, ...sides.after])];
      if (!groups.some((group) => heard.has(group))) continue;
      try {
        key ??= asJson(showKey(change.meta, pk));
        const isShown = sides.after.some((group) => heard.has(group));
        const text = isShown && after ? await this.#showRow(observer, after.row, key, unitOfWork, shown) : undefined;
        const { origin } = change;
        effects.events.push({
          observer,
          pk: key,
          ...sides,
          groups,
          ...text,
          ...source,
          ...(observer.visibility && observer.needsBefore && { change }),
          ...(origin !== undefined && { origin }),
        });
      } catch (error) {
        if (!failures.note(observer, error)) this.#noteUntold(observer, pk, error);
      }
    }
  }

  /** @param shown what observers that share a serializer have shown already */
  #showRow(
    observer: Observer,
    row: LoggedRow,
    pk: unknown,
    unitOfWork: UnitOfWork,
    shown: Map<SerializerClass, Promise<Shown>>,
  ): Promise<Shown> | Shown {
    const { serializer, body } = observer;
    if (body) return this.#show(observer, row.entity, unitOfWork);
    if (!serializer) return { data: encodeData({ pk }) };
    const text = shown.get(serializer) ?? this.#show(observer, row, unitOfWork);
    shown.set(serializer, text);
    return text;
  }

  async #show({ serializer, body, hasRights }: Observer, subject: object, unitOfWork: UnitOfWork): Promise<Shown> {
    if (body) return { data: encodeData(await body(subject as never)) };
    if (!serializer) return { data: encodeData(subject) };
    const context = { unitOfWork, resolve: this.resolve };
    if (!hasRights) return { data: encodeData(await showLogged(serializer, subject, context)) };
    const texts: [key: string, text: string][] = [];
    for (const rights of everyRights(serializer)) {
      const view = await showLogged(serializer, subject, { ...context, rights });
      texts.push([rightsKey(serializer, rights), encodeData(view)]);
    }
    const [[, least] = ['', 'null'], ...others] = texts;
    return { data: least, ...(others.length > 0 && { dataByRights: Object.fromEntries(others) }) };
  }

  /** Logs a failed observer. The other observers of the change still run. */
  #noteUntold({ id }: Observer, pk: unknown, error: unknown): void {
    this.logger.error('A change could not be sent as an event.', { observer: id, pk, error });
  }

  #unasked({ id }: Observer): (error: unknown) => void {
    return (error) => this.logger.error('Subscriptions could not be rechecked.', { observer: id, error });
  }

  // Signals

  #readSignal(sent: SignalSent, source: Source, effects: Effects): Promise<void> | void {
    const { heard } = this.index;
    const observers = this.#tellsDevelopers ? this.observers : this.observers.filter((each) => heard.has(each));
    if (observers.length === 0) return;
    return this.#tellAll(observers, async (left, failures) => {
      for (const observer of left) await this.#trySignal(observer, sent, source, effects, failures);
    });
  }

  async #trySignal(
    observer: Observer,
    sent: SignalSent,
    source: Source,
    effects: Effects,
    failures: PassingFailures,
  ): Promise<void> {
    const { signal, revocations } = observer;
    if (this.index.heard.has(observer))
      for (const revocation of revocations) await this.#readRevocation(observer, revocation, sent, effects, failures);
    if (failures.has(observer)) return;
    if (signal?.signal !== sent.signal || signal.atOnce !== sent.atOnce) return;
    try {
      await this.#tellSignal(observer, sent, source, effects);
    } catch (error) {
      if (failures.note(observer, error)) return;
      this.logger.error('A signal could not be sent as an event.', { observer: observer.id, error });
    }
  }

  async #readRevocation(
    observer: Observer,
    { signal, groupsOf }: Revocation,
    sent: SignalSent,
    effects: Effects,
    failures: PassingFailures,
  ): Promise<void> {
    if (signal?.signal !== sent.signal || sent.atOnce) return;
    const fail = this.#unasked(observer);
    try {
      effects.recheck(observer, await this.unitOfWork.run(() => groupsOf(sent.payload as object, fail)));
    } catch (error) {
      if (!failures.note(observer, error)) fail(error);
    }
  }

  async #tellSignal(
    observer: Observer,
    { payload, origin }: SignalSent,
    source: Source,
    effects: Effects,
  ): Promise<void> {
    if (!observer.signal?.when(payload)) return;
    const subject = payload as object;
    const leaveOut: LeaveOut = (error) =>
      this.logger.error('A group of a change was left out.', { observer: observer.id, pk: null, error });
    const after = await this.unitOfWork.run(() => observer.groupsOfRow(subject, leaveOut));
    const sides = { before: [], after };
    this.#inspect(observer, source, null, sides, 'signal');
    if (!after.some((group) => this.index.groups.has(group))) return;
    const shown = await this.unitOfWork.run(() => this.#show(observer, subject, this.unitOfWork));
    effects.events.push({
      observer,
      pk: null,
      ...sides,
      groups: after,
      ...source,
      ...shown,
      ...(origin !== undefined && { origin }),
    });
  }

  // To the subscriptions

  /**
   * Hands a subscription everything that one commit means to it at once, so that it can leave in one write. A large audience is served in
   * slices, with turns of other work between them.
   */
  async #deliver(messages: readonly ObserverMessage[]): Promise<void> {
    const audiences = messages.map((message) =>
      this.index.audience('recheck' in message ? message.recheck : message.groups),
    );
    const [first = []] = audiences;
    const isShared = audiences.every((audience) => audience === first);
    const byRecord = isShared ? undefined : messagesByRecord(messages, audiences);
    let left = slice;
    for (const record of byRecord?.keys() ?? first) {
      if (left <= 0) {
        await nextTurn();
        left = slice;
      }
      const own = byRecord?.get(record) ?? messages;
      for (const message of own) record.receiver.receive(message, record);
      left -= own.length;
    }
  }

  /** Shows the change in the explorer. */
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

function messagesByRecord(
  messages: readonly ObserverMessage[],
  audiences: readonly (readonly SubscriptionRecord[])[],
): ReadonlyMap<SubscriptionRecord, readonly ObserverMessage[]> {
  const byRecord = new Map<SubscriptionRecord, ObserverMessage[]>();
  audiences.forEach((audience, number) => {
    const message = messages[number];
    for (const record of audience) {
      const own = byRecord.get(record);
      if (own && message) own.push(message);
      else if (message) byRecord.set(record, [message]);
    }
  });
  return byRecord;
}

/** Whether the changed row belongs to the model; rows of a subclass do too. */
export function isOfModel({ entity }: Pick<ModelChange, 'entity'>, model: Class | undefined): boolean {
  return model !== undefined && (entity === model || entity.prototype instanceof model);
}

/** Shows a row of the log directly if its serializer needs no entity. A signal's payload is serialized as it is. */
async function showLogged(serializer: SerializerClass, subject: object, context: SerializerContext): Promise<unknown> {
  if (!(subject instanceof LoggedRow)) return (await serializeAll(serializer, [subject], context))[0];
  const shared = withOneOfEach(context);
  const plan = await planRows(serializer, context.unitOfWork, context.rights);
  const shown = needsEntity(plan) ? undefined : await showStored(plan, subject, shared);
  return shown ?? (await serializeAll(serializer, [subject.entity], context))[0];
}

/** Shows a row of the log, reading from other tables what the commit does not contain. Undefined if an entity is needed. */
async function showStored(plan: RowPlan, row: LoggedRow, context: SerializerContext): Promise<unknown> {
  const shown = await plan.showStored?.(row.stored, context);
  if (shown || !plan.showBoth) return shown;
  const { queries, reader } = context.unitOfWork;
  const { selection, related } = plan;
  if (row.schema !== reader.schema || (await queries.hasFilters(reader, related))) return undefined;
  const [now] = await queries.rows(reader, selection, { where: ofKey(selection.meta, row.key), limit: 1 });
  return now && plan.showBoth(row.stored, now, context);
}

/** The key as a client receives it: keys that are neither text nor number go through JSON. */
function asJson(key: unknown): unknown {
  return typeof key === 'string' || Number.isFinite(key) ? key : JSON.parse(encodeData(key));
}

/** The request that made the commit, or asked for its rechecks. */
function originOf({ changes, signals, rechecks }: PublishedCommit): { readonly origin?: string } {
  const origin = [...changes, ...signals, ...rechecks].find((each) => each.origin !== undefined)?.origin;
  return origin === undefined ? {} : { origin };
}
