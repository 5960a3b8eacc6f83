import { Cascade, Collection, EntityManager, type Rel, Type } from '@mikro-orm/core';
import {
  Embeddable,
  Embedded,
  Entity,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryKey,
  Property,
  Transactional,
} from '@mikro-orm/decorators/legacy';
import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { done, event } from '../support/frames.js';

@Embeddable()
class Address {
  @Property({ type: 'string' }) city!: string;
}

class City {
  @IsString() city!: string;
}

@Entity({ discriminatorColumn: 'kind', abstract: true })
abstract class Animal {
  @PrimaryKey({ type: 'bigint' }) id!: bigint;
  @Property({ type: 'string' }) name!: string;
  @Embedded(() => Address) address!: Address;
  @OneToMany(() => Toy, 'animal', { orphanRemoval: true, cascade: [Cascade.ALL] }) toys = new Collection<Toy>(this);
}

@Entity({ discriminatorValue: 'dog' })
class Dog extends Animal {}

@Entity({ discriminatorValue: 'cat' })
class Cat extends Animal {}

@Entity()
class Toy {
  @ManyToOne(() => Animal, { primary: true }) animal!: Rel<Animal>;
  @PrimaryKey({ type: 'integer' }) position!: number;
}

/** `p-7` in the application, 7 in the database. */
class Prefixed extends Type<string, number> {
  override convertToDatabaseValue(value: string) {
    return Number(value.slice(2));
  }
  override convertToJSValue(value: number) {
    return `p-${value}`;
  }
  override getColumnType() {
    return 'integer';
  }
}

@Entity()
class Parcel {
  @PrimaryKey({ type: Prefixed }) id!: string;
  @Property({ type: 'string' }) city!: string;
  @ManyToMany(() => Dog) sniffers = new Collection<Dog>(this);
}

@Consumer()
class Zoo extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action({ status: 201 })
  async watchCity({ city }: City, context: ActionContext) {
    await this.subscribe(this.onAnimal, { city }, context);
  }
  @Action({ status: 201 })
  async watchToys(context: ActionContext) {
    await this.subscribe(this.onToy, {}, context);
  }
  @Action()
  async rename() {
    await this.renameAll('Rex');
  }
  @Transactional()
  protected async renameAll(name: string) {
    for (const animal of await this.em.find(Animal, {})) animal.name = name;
  }

  @ModelObserver(() => Animal, { body: (row) => ({ name: row.name, class: row.constructor.name }) })
  async onAnimal(event: ModelEvent<Animal, { name: string; class: string }>, subscription: Subscription<City>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onAnimal') protected *groupsOfAnimal({ address }: Animal) {
    yield address.city;
  }
  @GroupsForConsumer('onAnimal') protected *groupsOfCity({ city }: City) {
    yield city;
  }

  @Action({ status: 201 })
  async watchParcels({ city }: City, context: ActionContext) {
    await this.subscribe(this.onParcel, { city }, context);
  }
  @ModelObserver(() => Parcel)
  async onParcel(event: ModelEvent<Parcel, unknown>, subscription: Subscription<City>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onParcel') protected *groupsOfParcel({ city }: Parcel | City) {
    yield city;
  }

  @ModelObserver(() => Toy)
  async onToy(event: ModelEvent<Toy, unknown>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

describe('Observers of models of every kind', () => {
  const database = useDatabase('dcrf_kinds', [Animal, Dog, Cat, Toy, Parcel]);
  let app: App;
  before(() => {
    app = createApp({ orm: database.orm, routes: [path('/ws/zoo/', Zoo)] });
  });
  after(() => app.close());

  async function watching(action: string, kwargs = {}): Promise<TestConnection> {
    const connection = await connect(app, '/ws/zoo/');
    expect(await connection.request(action, { ...kwargs, request_id: 1 })).to.deep.equal(done(action, 201));
    return connection;
  }

  it('hear of subclasses where they observe the base, by embedded properties and bigint keys', async () => {
    await using ann = await watching('watch_city', { city: 'Rome' });
    const em = database.orm.em.fork();
    const dog = em.create(Dog, { name: 'Rex', address: { city: 'Rome' } });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { name: 'Rex', class: 'Dog' }));
    em.create(Cat, { name: 'Tom', address: { city: 'Rome' } });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { name: 'Tom', class: 'Cat' }));
    dog.address.city = 'Oslo';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: '1' }));
    dog.address = Object.assign(new Address(), { city: 'Rome' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { name: 'Rex', class: 'Dog' }));
  });

  it('hear of rows with composite keys, of orphans and of what the ORM cascades', async () => {
    const em = database.orm.em.fork();
    const dog = em.create(Dog, { name: 'Rex', address: { city: 'Rome' } });
    em.create(Toy, { animal: dog, position: 1 });
    em.create(Toy, { animal: dog, position: 2 });
    await em.flush();
    await app.idle();
    await using ann = await watching('watch_toys');
    const pk = (position: number) => ({ pk: { animal: '1', position } });
    dog.toys.remove((toy) => toy.position === 1);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', pk(1)));
    em.remove(dog);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', pk(2)));
    await ann.expectSilence();
  });

  it('hear of rows whose keys have a type of their own', async () => {
    await using ann = await watching('watch_parcels', { city: 'Rome' });
    const em = database.orm.em.fork();
    const parcel = em.create(Parcel, { id: 'p-7', city: 'Rome' });
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'p-7' }));
    parcel.city = 'Oslo';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'p-7' }));
    parcel.city = 'Rome';
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 'p-7' }));
    parcel.sniffers.add(em.create(Dog, { name: 'Rex', address: { city: 'Rome' } }));
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 'p-7' }));
    em.remove(parcel);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 'p-7' }));
    await ann.expectSilence();
  });

  it('hear of @Transactional methods, and of transactions begun by hand', async () => {
    const em = database.orm.em.fork();
    em.create(Dog, { name: 'Dog', address: { city: 'Rome' } });
    await em.flush();
    await app.idle();
    await using ann = await watching('watch_city', { city: 'Rome' });
    await ann.request('rename', { request_id: 2 });
    expect(await ann.receive()).to.deep.equal(event('update', { name: 'Rex', class: 'Dog' }));
    const fork = database.orm.em.fork();
    await fork.begin();
    (await fork.findOneOrFail(Animal, { name: 'Rex' })).name = 'Max';
    await fork.flush();
    await ann.expectSilence();
    await fork.commit();
    expect(await ann.receive()).to.deep.equal(event('update', { name: 'Max', class: 'Dog' }));
  });
});
