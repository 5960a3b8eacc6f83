import { BigIntType } from '@mikro-orm/core';
import { Embeddable, Embedded, Entity, OneToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { MikroORM, Options } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { createApp, path } from 'signalbox';
import { connectOrm } from '../support/database.js';
import { NumberedText } from '../support/keyed.js';
import { createDatabase } from '../support/postgres.js';
import { testProviders } from '../support/providers.js';
import { statementsSentBy } from '../support/sent-statements.js';
import { SilentConsumer } from '../support/serving.js';

@Entity()
class User {
  @PrimaryKey({ type: NumberedText })
  id!: string;

  @OneToOne({ entity: () => Profile, mappedBy: 'user', nullable: true })
  profile?: object | null;
}

@Entity()
class Order {
  @PrimaryKey({ type: new BigIntType('number') })
  id!: number;

  @OneToOne({ entity: () => Profile, mappedBy: 'order', nullable: true })
  profile?: object | null;
}

@Entity()
class Profile {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @OneToOne({ entity: () => User, inversedBy: 'profile', owner: true, nullable: true })
  user?: object | null;

  @OneToOne({ entity: () => Order, inversedBy: 'profile', owner: true, nullable: true })
  order?: object | null;
}

@Embeddable()
class Place {
  @Property({ type: 'integer', nullable: true })
  level?: number | null;
}

@Embeddable()
class Address {
  @Property({ type: 'string' })
  street!: string;

  @Property({ type: 'integer', nullable: true })
  house?: number | null;

  @Property({ type: 'json', nullable: true })
  notes?: object | null;

  @Embedded(() => Place, { nullable: true })
  place?: Place | null;
}

@Embeddable()
class Yard {
  @Embedded(() => Place, { object: true, nullable: true })
  place?: Place | null;
}

@Entity()
class Person {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Embedded(() => Address, { object: true })
  home!: Address;

  @Embedded(() => Address, { array: true })
  others!: Address[];

  @Embedded(() => Yard, { nullable: true })
  yard?: Yard | null;
}

describe('A row that was only read', () => {
  async function written(
    options: Partial<Options>,
    rows: readonly string[],
    work: (em: MikroORM['em']) => Promise<void>,
  ): Promise<readonly string[]> {
    const orm = await connectOrm(await createDatabase('unchanged_rows'), {
      entities: [User, Order, Profile, Person, Address, Place],
      ...options,
    });
    await orm.schema.create();
    for (const sql of rows) await orm.em.execute(sql);
    const { container } = testProviders();
    const app = createApp({ orm, container, routes: [path('/', SilentConsumer)] });
    try {
      await app.start();
      const em = orm.em.fork();
      const sent = await statementsSentBy(async () => {
        await work(em);
        await em.flush();
      });
      return sent.map(({ text }) => text).filter((text) => text.startsWith('update'));
    } finally {
      await app.close();
      await orm.close(true);
    }
  }

  const linked = [
    `insert into "user" (id) values (1)`,
    `insert into "order" (id) values (1)`,
    `insert into profile (id, user_id, order_id) values (7, 1, 1)`,
  ];

  for (const entity of [User, Order])
    it(`is not written, nor is the one that refers to it by a key that is converted (${entity.name})`, async () => {
      const sent = await written({}, linked, async (em) => {
        const [row] = await em.find<User | Order>(entity, {});
        expect(row?.profile).to.include({ id: 7 });
      });
      expect(sent).to.deep.equal([]);
    });

  it('is written where it is given to another row', async () => {
    const sent = await written({}, [...linked, `insert into "user" (id) values (2)`], async (em) => {
      const [, second] = await em.find(User, {}, { orderBy: { id: 'asc' } });
      const profile = await em.findOneOrFail(Profile, 7);
      profile.user = second ?? null;
    });
    expect(sent).to.have.length(1);
  });

  const stored = `{"street":"x","house":null,"notes":{"a":null},"place":{"level":null}}`;
  const person = [
    `insert into person (id, home, others, yard_place) values (1, '${stored}', '[${stored}]', '{"level":null}')`,
  ];

  it('is not written under forceUndefined, where null stands in an embedded value', async () => {
    const sent = await written({ forceUndefined: true }, person, async (em) => {
      const row = await em.findOneOrFail(Person, 1);
      const read = [row.home.house, row.others[0]?.place?.level, row.yard?.place?.level];
      expect(read).to.deep.equal([undefined, undefined, undefined]);
    });
    expect(sent).to.deep.equal([]);
  });

  for (const [title, change] of Object.entries({
    'another value': ({ home }: Person) => Object.assign(home, { house: 3 }),
    'no value more': ({ others }: Person) => Object.assign(others[0] ?? {}, { notes: undefined }),
    'other JSON': ({ home }: Person) => Object.assign(home, { notes: {} }),
    'a value within another one': ({ others }: Person) => Object.assign(others[0]?.place ?? {}, { level: 1 }),
  }))
    it(`is written under forceUndefined, where it got ${title}`, async () => {
      const sent = await written({ forceUndefined: true }, person, async (em) => {
        change(await em.findOneOrFail(Person, 1));
      });
      expect(sent).to.have.length(1);
    });
});
