import { expect } from 'chai';
import { toPrimaryKey } from '#signalbox/serializers/model-key.js';
import { Country } from '../support/countries.js';
import { useDatabase } from '../support/database.js';
import { Account, Place } from '../support/keyed.js';
import { Shelf, specimens, Tag } from '../support/specimens.js';

describe('The key that a client names', () => {
  const database = useDatabase('model_key', [...specimens, Account, Country, Place]);

  for (const { entity, raw, key } of [
    { entity: Shelf, raw: 1, key: 1 },
    { entity: Shelf, raw: '1', key: 1 },
    { entity: Shelf, raw: 2147483647, key: 2147483647 },
    { entity: Shelf, raw: 2147483648, key: undefined },
    { entity: Shelf, raw: '1e3', key: undefined },
    { entity: Shelf, raw: 1.5, key: undefined },
    { entity: Shelf, raw: ' 1', key: undefined },
    { entity: Shelf, raw: '', key: undefined },
    { entity: Shelf, raw: null, key: undefined },
    { entity: Shelf, raw: true, key: undefined },
    { entity: Shelf, raw: [1], key: undefined },
    { entity: Shelf, raw: { id: 1 }, key: undefined },
    { entity: Shelf, raw: { constructor: null }, key: undefined },
    { entity: Country, raw: { constructor: { name: 'Country' } }, key: undefined },
    { entity: Account, raw: '9223372036854775807', key: 9223372036854775807n },
    { entity: Account, raw: '9223372036854775808', key: undefined },
    { entity: Tag, raw: '0000000A-0000-4000-8000-000000000000', key: '0000000a-0000-4000-8000-000000000000' },
    { entity: Tag, raw: 'x', key: undefined },
    { entity: Country, raw: 'ann', key: 'ann' },
    { entity: Country, raw: 'a\u0000b', key: undefined },
    { entity: Place, raw: { shelf: '2', number: '1', label: 'x' }, key: { shelf: 2, number: 1n } },
    { entity: Place, raw: { shelf: 1 }, key: undefined },
    { entity: Place, raw: 1, key: undefined },
  ]) {
    const shown =
      key === undefined
        ? 'no key'
        : JSON.stringify(key, (_name, value) => (typeof value === 'bigint' ? `${value}n` : value));
    it(`of ${entity.name} is ${shown} for ${JSON.stringify(raw)}`, () => {
      expect(toPrimaryKey(database.orm.em.getMetadata<object>(entity), raw)).to.deep.equal(key);
    });
  }
});
