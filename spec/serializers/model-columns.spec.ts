import { expect } from 'chai';
import { isComparable } from '#signalbox/serializers/model-columns.js';

describe('Values of a column', () => {
  const comparable = [
    'int',
    'bigint',
    'varchar(255)',
    'text',
    'numeric(10,2)',
    'boolean',
    'date',
    'timestamptz(0)',
    'uuid',
    'time(0)',
  ];
  const others = ['jsonb', 'json', 'text[]', 'bytea', 'interval', 'inet', 'timetz', 'int4range'];
  const columns = (types: readonly string[]) => types.map((type) => isComparable({ columnTypes: [type] } as never));

  it('can be compared with what a client sends where they are plain', () => {
    expect(columns(comparable)).to.deep.equal(comparable.map(() => true));
  });

  it('cannot where the ORM would take an object for operators, or the database has another form for them', () => {
    expect(columns(others)).to.deep.equal(others.map(() => false));
  });
});
