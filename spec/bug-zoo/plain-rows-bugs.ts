import { always, leftOut, made } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong between a column and JSON where no entity is made. */
export const plainRowsBugs: readonly Bug[] = [
  {
    name: 'an event shows a relation as a replica had it, or as it was read some time before',
    story: 'Relations are loaded as MikroORM likes.',
    plant: { symbol: 'uncached', with: () => (_em: unknown, load: () => Promise<unknown>) => load() },
    caughtBy: ['serializers/stored-relations'],
  },
  {
    name: 'a subscription shows a row that a default filter hides',
    story: 'Only queries of the consumer count as hiding rows.',
    plant: { symbol: 'hidesByDefault', with: always(Promise.resolve(false)) },
    caughtBy: ['consumers/filtered-rows'],
  },
  {
    name: 'lists show what the driver makes of a column, and not what its entity would hold',
    story: 'The conversions of the ORM are left out.',
    plant: { symbol: 'readBy', with: always(undefined) },
    caughtBy: ['walks/columns-and-json'],
  },
  {
    name: 'a list is answered 400 where a number in its query is beyond the column',
    story: 'Every number is a parameter, which takes the type of the column.',
    plant: { symbol: 'fits', in: 'orm/model-queries', with: always(true) },
    caughtBy: ['serializers/rows-without-entities'],
  },
  {
    name: 'a row is listed once for each of its relations that the query asks for',
    story: 'Rows that a join has doubled stay in.',
    plant: {
      symbol: 'withoutRepeated',
      with: () => (rows: readonly unknown[]) => rows,
    },
    caughtBy: ['serializers/rows-without-entities'],
  },
  {
    name: 'a list in a transaction lacks what its request has written',
    story: 'What is pending is not flushed before plain rows are read.',
    plant: { symbol: 'EntityManager.tryFlush', of: '@mikro-orm/core', with: leftOut },
    caughtBy: ['serializers/rows-under-orm-options'],
  },
  {
    name: 'routes says of a list with soft deletion on a relation that it makes no entities',
    story: 'Only the serializer is looked at, and not the filters of the ORM.',
    plant: { symbol: 'defaultFiltersOf', with: always([]) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'routes says of a consumer with a retrieve of its own that it makes no entities',
    story: 'The method is taken for that of the mixin, so that it gets a row that is not an entity.',
    plant: { symbol: 'isPlainRetrieve', with: always(true) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'a list of its own gets rows that are no entities',
    story: 'The method is taken for that of the mixin.',
    plant: { symbol: 'isPlainList', with: always(true) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'rows are read and written under names that a pooler does not know',
    story: 'The setting holds for the change log only.',
    plant: { symbol: 'ModelQueries', with: made(() => [true]) },
    caughtBy: ['orm/prepared-rows'],
  },
  {
    name: 'clients that filter in many ways leave no prepared statement to those that read one row again and again',
    story: 'The first texts that come get the names, and keep them.',
    plant: {
      symbol: 'StatementNames.of',
      with: (of: (statement: { readonly text: string }) => string | undefined) => {
        const texts = new Set<string>();
        return function (this: unknown, statement: { readonly text: string }): string | undefined {
          if (texts.size < 64) texts.add(statement.text);
          return texts.has(statement.text) ? of.call(this, statement) : undefined;
        };
      },
    },
    caughtBy: ['serializers/statements-of-clients'],
  },
  {
    name: 'each text that a client thinks of stays prepared in PostgreSQL, 150 kB a connection',
    story: 'No statement is closed.',
    plant: { symbol: 'close', in: 'orm/statements', with: leftOut },
    caughtBy: ['orm/statements'],
  },
  {
    name: 'an event of a row with many-to-many relations makes entities of it and of all its members',
    story: 'What the commit does not say is not read as a row.',
    plant: { symbol: 'showStored', in: 'observers/event-publisher', with: always(undefined) },
    caughtBy: ['serializers/rows-without-entities'],
  },
  {
    name: 'events show members without the blanks of their key',
    story: 'Members are cast to text, which takes the blanks from a column of a fixed length.',
    plant: { symbol: 'textSql', with: () => (sql: string) => `${sql}::text` },
    caughtBy: ['serializers/fixed-length'],
  },
  {
    name: 'a row with a key of an own type cannot be created with members',
    story: 'The key is read before the database has made it.',
    plant: { symbol: 'isStored', with: always(true) },
    caughtBy: ['orm/many-to-many'],
  },
  {
    name: 'the null of a lazy reference cannot be overwritten under forceUndefined',
    story: 'The value is set where the reference belongs.',
    plant: { symbol: 'isInReference', with: always(false) },
    caughtBy: ['serializers/rows-under-orm-options'],
  },
  {
    name: 'a relation to a row with a key of several columns is shown as null',
    story: 'The parts of the key are not put together.',
    plant: {
      symbol: 'partShape',
      with:
        (original: (...parts: readonly unknown[]) => object) =>
        (...parts: readonly unknown[]) => ({ ...original(...parts), show: () => null }),
    },
    caughtBy: ['serializers/rows-with-composite-keys'],
  },
  {
    name: 'an embedded value of no class that is known is shown as an object',
    story: 'Nothing asks its columns of which class it is.',
    plant: { symbol: 'knownClasses', with: always(undefined) },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
  {
    name: 'members of a row that MikroORM cannot link are a 500',
    story: 'Nothing looks at the keys of both ends when the application starts.',
    plant: { symbol: 'refuseUnlinkable', with: leftOut },
    caughtBy: ['serializers/refused-columns'],
  },
  {
    name: 'rows that a constructor makes are shown as their columns are',
    story: 'Nothing looks at what the class of the model says.',
    plant: { symbol: 'checkPlain', with: leftOut },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'an embedded value that is missing is shown as an object without values',
    story: 'Nothing looks at its columns before they are shown.',
    plant: { symbol: 'isAnySet', with: always(true) },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
  {
    name: 'the getter of an embedded value is shown as null',
    story: 'It is taken for a column.',
    plant: { symbol: 'embeddedObstacle', with: always(undefined) },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
  {
    name: 'an event says null of an embedded value of which only a hidden column has a value',
    story: 'The log has no digest of it, so that its row looks as if nothing were there.',
    plant: { symbol: 'tellingProperties', with: always([]) },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
  {
    name: 'events lack JSON that is embedded in an inline value',
    story: 'Whatever lies in an embedded value is taken for a part of its JSON.',
    plant: {
      symbol: 'hasColumn',
      with:
        (original: (prop: { kind: string; embedded?: unknown }) => boolean) =>
        (prop: { kind: string; embedded?: unknown }) =>
          original(prop) && !(prop.kind === 'embedded' && prop.embedded),
    },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
  {
    name: 'lazy embedded values are shown as null where entities are made',
    story: 'They are not asked for.',
    plant: { symbol: 'lazyProperties', with: always([]) },
    caughtBy: ['serializers/rows-with-embedded-values'],
  },
];
