import type { RunStatement } from '../orm/statements.js';

/** What the applications of a database together want to know of a model. */
export interface ObservedModel {
  /** The name of its class, which is the same in every process. */
  readonly model: string;
  /** Whether the row before a change is needed, and what its many-to-many relations held. */
  readonly needsBefore: boolean;
  /** Hidden and lazy properties that observers show or read. */
  readonly shown: readonly string[];
  /** Hidden and lazy properties of which only has to be known whether they have changed. */
  readonly compared: readonly string[];
}

/**
 * What one application observes is added to what others do, so that every process that writes logs it. A row that no application has
 * confirmed for a day is removed: no application has read changes of that model since.
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

/** @returns whether that may be news to other processes */
export async function declareModels(run: RunStatement, models: readonly ObservedModel[]): Promise<boolean> {
  if (models.length === 0) return false;
  const changed = await run(declareStatement, [JSON.stringify(models)]);
  return changed.length > 0;
}

/** By name. Empty where no application has ever been started. */
export async function readModels(run: RunStatement): Promise<ReadonlyMap<string, ObservedModel>> {
  const models = await run<ObservedModel>(readStatement, []);
  return new Map(models.map((model) => [model.model, model]));
}
