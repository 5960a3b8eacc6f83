import { Collection } from '@mikro-orm/core';
import { Entity, ManyToMany, PrimaryKey } from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { type RecordedChange, recordChanges } from '../support/changes.js';
import { useDatabase } from '../support/database.js';
import { NumberedText } from '../support/keyed.js';

@Entity()
class Guest {
  @PrimaryKey({ type: 'integer' }) id!: number;
}

@Entity()
class Party {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToMany(() => Guest) invited = new Collection<Guest>(this);
  @ManyToMany(() => Guest) inside = new Collection<Guest>(this);
}

@Entity()
class Queue {
  @PrimaryKey({ type: NumberedText, autoincrement: true }) id!: string;
  @ManyToMany(() => Guest) waiting = new Collection<Guest>(this);
  @ManyToMany(() => Guest) served = new Collection<Guest>(this);
}

describe('A row with several many-to-many relations, from which groups may be derived', () => {
  const database = useDatabase('model_relinks', [Guest, Party, Queue]);
  const recorded = recordChanges(database);
  beforeEach(async () => {
    await database.orm.em.execute('insert into guest (id) values (1), (2)');
    await database.orm.em.execute('insert into party (id) values (1)');
    await database.orm.em.execute('insert into party_invited values (1, 1), (1, 2)');
  });

  it('is told with all of them when a flush changes one', async () => {
    const em = database.orm.em.fork();
    (await em.findOneOrFail(Party, 1)).inside.add(em.getReference(Guest, 2));
    await em.flush();
    expect(await onlyChange()).to.deep.include({
      before: { id: 1, invited: [1, 2], inside: [] },
      after: { id: 1, invited: [1, 2], inside: [2] },
    });
  });

  it('is told with all of them when it is created with one', async () => {
    const em = database.orm.em.fork();
    em.create(Party, { id: 2, invited: [em.getReference(Guest, 1)] });
    await em.flush();
    expect((await onlyChange())?.after).to.deep.equal({ id: 2, invited: [1], inside: [] });
  });

  it('is told when it is created with members, and the database makes its key, which has a type of the application', async () => {
    const em = database.orm.em.fork();
    const guest = em.getReference(Guest, 1);
    em.create(Queue, { waiting: [guest], served: [guest] });
    em.create(Queue, { waiting: [guest], served: [guest] });
    await em.flush();
    const [changes] = await recorded.commits();
    expect(changes?.map(({ after }) => after)).to.deep.equal([
      { id: 1, waiting: [1], served: [1] },
      { id: 2, waiting: [1], served: [1] },
    ]);
  });

  async function onlyChange(): Promise<RecordedChange | undefined> {
    const [changes] = await recorded.commits();
    expect(changes).to.have.length(1);
    return changes?.[0];
  }
});
