import type { MikroORM } from '@mikro-orm/postgresql';
import type { ModelChange } from '#signalbox/orm/model-change.js';
import { ModelSubscriber } from '#signalbox/orm/model-subscriber.js';
import { registerSubscriber } from '#signalbox/orm/orm-root.js';

export interface RecordedChanges {
  /** One list per commit. */
  readonly commits: readonly (readonly ModelChange[])[];
  /** `['create Message 1', 'update Room 2']` of each commit. */
  readonly told: readonly (readonly string[])[];
}

/** Records what a database's commits change, for the specs of one file. */
export function recordChanges(database: { readonly orm: MikroORM }): RecordedChanges {
  const commits: (readonly ModelChange[])[] = [];
  before(() => registerSubscriber(database.orm, new ModelSubscriber((changes) => commits.push(changes))));
  beforeEach(() => void commits.splice(0));
  return {
    commits,
    get told() {
      return commits.map((changes) => changes.map(sentence));
    },
  };
}

function sentence({ entity, pk, before, after }: ModelChange): string {
  const kind = before ? (after ? 'update' : 'delete') : 'create';
  return `${kind} ${entity.name} ${JSON.stringify(pk)}`;
}
