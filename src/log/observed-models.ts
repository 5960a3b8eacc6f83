import type { EntityClass, EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { Watch } from '../orm/change-capture.js';
import type { HiddenColumns } from '../orm/row.js';
import type { RunStatement } from '../orm/statements.js';

/** What the log needs to know about an application that observes models. */
export interface ObservingUser {
  /** Whether it receives commits. */
  readonly reads: boolean;
  isObserved(entity: EntityClass<object>): boolean;
  /** Whether its observers need the row before a change and the former members of its many-to-many relations. */
  needsBefore(entity: EntityClass<object>): boolean;
  /** Hidden and lazy properties whose values its observers need. */
  shownOf(entity: EntityClass<object>): Iterable<string>;
  /** Hidden and lazy properties of which its observers only need to know whether they have changed. */
  comparedOf(entity: EntityClass<object>): Iterable<string>;
}

/** What the applications of a database need together of a model. */
export interface ObservedModel {
  /** The name of the model's class, which is the same in every process. */
  readonly model: string;
  /** Whether an observer needs the row before a change and the former members of its many-to-many relations. */
  readonly needsBefore: boolean;
  /** Hidden and lazy properties whose values observers need. */
  readonly shown: readonly string[];
  /** Hidden and lazy properties of which observers only need to know whether they have changed. */
  readonly compared: readonly string[];
}

/**
 * Adds what one application observes to what others do, so that every writing process logs it. A row that no application has confirmed for
 * a day is removed: no application has read changes of that model since.
 */
const declareStatement = {
  text: `with gone as (delete from signalbox.observed where at < clock_timestamp() - interval '1 day'
  and model not in (select value ->> 'model' from jsonb_array_elements($1::jsonb)))
insert into signalbox.observed as known (model, needs_before, shown, compared)
select value ->> 'model', (value ->> 'needsBefore')::boolean,
  array(select jsonb_array_elements_text(value -> 'shown')), array(select jsonb_array_elements_text(value -> 'compared'))
from jsonb_array_elements($1::jsonb) order by 1
on conflict (model) do update set at = clock_timestamp(),
  needs_before = known.needs_before or excluded.needs_before,
  shown = array(select unnest(known.shown) union select unnest(excluded.shown)),
  compared = array(select unnest(known.compared) union select unnest(excluded.compared))
where known.at < clock_timestamp() - interval '1 hour' or excluded.needs_before > known.needs_before
  or not known.shown @> excluded.shown or not known.compared @> excluded.compared
returning model`,
};

const readStatement = {
  text: 'select model, needs_before as "needsBefore", shown, compared from signalbox.observed order by model',
};

/** Reads the observed models, by name; empty if no application was ever started. */
export async function readModels(run: RunStatement): Promise<ReadonlyMap<string, ObservedModel>> {
  const models = await run<ObservedModel>(readStatement, []);
  return new Map(models.map((model) => [model.model, model]));
}

/** What the applications of this process observe, and what the database says that those of all processes do. */
export class ObservedModels {
  #declared: ReadonlyMap<string, ObservedModel> = new Map();

  /** @param users the current applications of this process */
  constructor(
    private readonly em: EntityManager,
    private readonly users: ReadonlySet<ObservingUser>,
  ) {}

  /** Whether an application has declared what it observes. */
  get isKnown(): boolean {
    return this.#declared.size > 0;
  }

  forget(): void {
    this.#declared = new Map();
  }

  /**
   * Declares what the applications of this process observe.
   *
   * @returns whether that may be new to other processes
   */
  async declare(run: RunStatement): Promise<boolean> {
    const models = this.#metas().flatMap((meta) => this.#wishedOf(meta) ?? []);
    if (models.length === 0) return false;
    const changed = await run(declareStatement, [JSON.stringify(models)]);
    return changed.length > 0;
  }

  /**
   * Reads what the applications of all processes observe.
   *
   * @returns whether that has changed
   */
  async learn(run: RunStatement): Promise<boolean> {
    const declared = await readModels(run);
    const isNews = JSON.stringify([...declared]) !== JSON.stringify([...this.#declared]);
    this.#declared = declared;
    return isNews;
  }

  /** What to note of each model. A process that only writes notes everything, as long as no application has declared what it observes. */
  watches(): ReadonlyMap<EntityClass<object>, Watch> {
    const isUnknown = !this.isKnown && ![...this.users].some(({ reads }) => reads);
    const watches = new Map<EntityClass<object>, Watch>();
    for (const { class: entity, className } of this.#metas()) {
      const users = this.#usersOf(entity);
      const declared = this.#declared.get(className);
      if (users.length === 0 && !declared && !isUnknown) continue;
      const needsBefore = isUnknown || declared?.needsBefore || users.some((user) => user.needsBefore(entity));
      watches.set(entity, { needsBefore });
    }
    return watches;
  }

  hiddenColumns({ class: entity, className }: EntityMetadata): HiddenColumns {
    const declared = this.#declared.get(className);
    const users = [...this.users];
    return {
      shown: new Set([...users.flatMap((user) => [...user.shownOf(entity)]), ...(declared?.shown ?? [])]),
      compared: new Set([...users.flatMap((user) => [...user.comparedOf(entity)]), ...(declared?.compared ?? [])]),
    };
  }

  #wishedOf({ class: entity, className: model }: EntityMetadata): ObservedModel | undefined {
    const users = this.#usersOf(entity);
    if (users.length === 0) return undefined;
    return {
      model,
      needsBefore: users.some((user) => user.needsBefore(entity)),
      shown: [...new Set(users.flatMap((user) => [...user.shownOf(entity)]))],
      compared: [...new Set(users.flatMap((user) => [...user.comparedOf(entity)]))],
    };
  }

  #usersOf(entity: EntityClass<object>): readonly ObservingUser[] {
    return [...this.users].filter((user) => user.isObserved(entity));
  }

  /** Tables of many-to-many relations without a class of their own have no observer. */
  #metas(): readonly EntityMetadata[] {
    return [...this.em.getMetadata().getAll().values()].filter(({ class: entity }) => entity);
  }
}
