import type { EntityMetadata } from '@mikro-orm/core';
import { Entity, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { toPrimaryKey } from '#signalbox/serializers/model-key.js';
import { useDatabase } from '../support/database.js';

@Entity()
class Plain {
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

@Entity()
class Big {
  @PrimaryKey({ type: 'bigint' })
  id!: bigint;
}

@Entity()
class Unique {
  @PrimaryKey({ type: 'uuid' })
  id!: string;
}

@Entity()
class Named {
  @PrimaryKey({ type: 'string' })
  name!: string;
}

@Entity()
class Seat {
  @PrimaryKey({ type: 'integer' })
  row!: number;

  @ManyToOne(() => Plain, { primary: true })
  hall!: Plain;

  @Property({ type: 'string', nullable: true })
  label?: string | null;
}

describe('The key that a client names', () => {
  const database = useDatabase('model_key', [Plain, Big, Unique, Named, Seat]);

  for (const { entity, raw, key } of [
    { entity: Plain, raw: 1, key: 1 },
    { entity: Plain, raw: '1', key: 1 },
    { entity: Plain, raw: 2147483647, key: 2147483647 },
    { entity: Plain, raw: 2147483648, key: undefined },
    { entity: Plain, raw: '1e3', key: undefined },
    { entity: Plain, raw: 1.5, key: undefined },
    { entity: Plain, raw: ' 1', key: undefined },
    { entity: Plain, raw: '', key: undefined },
    { entity: Plain, raw: null, key: undefined },
    { entity: Plain, raw: true, key: undefined },
    { entity: Plain, raw: [1], key: undefined },
    { entity: Plain, raw: { id: 1 }, key: undefined },
    { entity: Plain, raw: { constructor: null }, key: undefined },
    { entity: Named, raw: { constructor: { name: 'Named' } }, key: undefined },
    { entity: Big, raw: '9223372036854775807', key: 9223372036854775807n },
    { entity: Big, raw: '9223372036854775808', key: undefined },
    { entity: Unique, raw: '0000000A-0000-4000-8000-000000000000', key: '0000000a-0000-4000-8000-000000000000' },
    { entity: Unique, raw: 'x', key: undefined },
    { entity: Named, raw: 'ann', key: 'ann' },
    { entity: Named, raw: 'a\u0000b', key: undefined },
    { entity: Seat, raw: { row: 1, hall: '2', label: 'x' }, key: { row: 1, hall: 2 } },
    { entity: Seat, raw: { row: 1 }, key: undefined },
    { entity: Seat, raw: 1, key: undefined },
  ]) {
    const shown = typeof key === 'bigint' ? `${key}n` : key === undefined ? 'no key' : JSON.stringify(key);
    it(`of ${entity.name} is ${shown} for ${JSON.stringify(raw)}`, () => {
      const meta = database.orm.em.getMetadata(entity as never) as EntityMetadata;
      expect(toPrimaryKey(meta, raw)).to.deep.equal(key);
    });
  }
});
