import type { Opt } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { type App, Consumer, createApp, ModelConsumer, ModelSerializer, mix, ObserveRows, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';

@Entity({ discriminatorColumn: 'kind', discriminatorValue: 'pet' })
class Pet {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'boolean', default: false }) sold: Opt<boolean> = false;
}

@Entity({ discriminatorValue: 'dog' })
class Dog extends Pet {
  @Property({ type: 'integer', nullable: true }) barks?: number | null;
}

@Entity({ inheritance: 'tpt' })
class Vehicle {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'boolean', default: false }) sold: Opt<boolean> = false;
}

@Entity()
class Car extends Vehicle {
  @Property({ type: 'integer' }) doors!: number;
}

const filters = { fields: { name: ['istarts_with'] } } as const;

@injectable()
class PetSerializer extends ModelSerializer(Pet, { fields: ['id', 'name'] }) {}

@Consumer()
class PetConsumer extends mix(ModelConsumer(Pet, { serializer: PetSerializer, filters }), ObserveRows) {
  protected override getQuery() {
    return { sold: false };
  }
}

@injectable()
class CarSerializer extends ModelSerializer(Car, { fields: ['id', 'name', 'doors'] }) {}

@Consumer()
class CarConsumer extends mix(ModelConsumer(Car, { serializer: CarSerializer, filters }), ObserveRows) {}

/** Sees what is not sold, which stands in the table of the parent, and has doors, which stands in its own. */
@Consumer()
class OpenCarConsumer extends mix(ModelConsumer(Car, { serializer: CarSerializer, filters }), ObserveRows) {
  protected override getQuery() {
    return { sold: false, doors: { $gt: 0 } };
  }
}

@injectable()
class VehicleSerializer extends ModelSerializer(Vehicle, { fields: ['id', 'name'] }) {}

@Consumer()
class OpenVehicleConsumer extends mix(ModelConsumer(Vehicle, { serializer: VehicleSerializer, filters }), ObserveRows) {
  protected override getQuery() {
    return { sold: false };
  }
}

describe('Rows of classes that extend another one', () => {
  const database = useDatabase('followed_classes', [Pet, Dog, Vehicle, Car]);
  let app: App;
  let em: EntityManager;

  beforeEach(() => {
    em = database.orm.em.fork();
    app = createApp({
      orm: database.orm,
      routes: [
        path('/pets/', PetConsumer),
        path('/cars/', CarConsumer),
        path('/open-cars/', OpenCarConsumer),
        path('/vehicles/', OpenVehicleConsumer),
      ],
    });
  });
  afterEach(() => app.close());

  it('are followed as rows of that class, in one table', async () => {
    await using ann = await connect(app, '/pets/');
    await ann.request('subscribe_rows', { request_id: 1, filter: { name: { istarts_with: 'r' } } });
    const dog = em.create(Dog, { name: 'rex', barks: 3 });
    const hidden = em.create(Dog, { name: 'rolf', sold: true });
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: dog.id, name: 'rex' } });
    dog.barks = 4;
    hidden.barks = 4;
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: dog.id, name: 'rex' } });
    dog.sold = true;
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: dog.id } });
    await ann.expectSilence();
  });

  it('are followed by columns of both, where each class has a table', async () => {
    await using ann = await connect(app, '/cars/');
    await ann.request('subscribe_rows', { request_id: 1, filter: { name: { istarts_with: 'r' } } });
    const car = em.create(Car, { name: 'red', doors: 3 });
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red', doors: 3 } });
    car.name = 'rust';
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'rust', doors: 3 } });
    car.name = 'rose';
    car.doors = 4;
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'update', data: { id: 1, name: 'rose', doors: 4 } });
    car.name = 'blue';
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    car.doors = 5;
    await em.flush();
    await ann.expectSilence();
  });

  for (const { title, change } of [
    { title: 'a column of the table of the parent', change: { sold: true } },
    { title: 'a column of its own table', change: { doors: 0 } },
  ])
    it(`leave the sight of a subscriber by ${title} as a delete, and come back as a create`, async () => {
      await using ann = await connect(app, '/open-cars/');
      await ann.request('subscribe_rows', { request_id: 1 });
      const car = em.create(Car, { name: 'red', doors: 3 });
      const hidden = em.create(Car, { name: 'old', doors: 3, sold: true });
      await em.flush();
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red', doors: 3 } });
      em.assign(car, change);
      hidden.name = 'older';
      await em.flush();
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
      em.remove(hidden);
      em.assign(car, { sold: false, doors: 3 });
      await em.flush();
      expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red', doors: 3 } });
      em.remove(car);
      await em.flush();
      expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
      await ann.expectSilence();
    });

  it('leave the sight of a subscriber to the parent as a delete', async () => {
    await using ann = await connect(app, '/vehicles/');
    await ann.request('subscribe_rows', { request_id: 1 });
    const car = em.create(Car, { name: 'red', doors: 3 });
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'create', data: { id: 1, name: 'red' } });
    car.sold = true;
    await em.flush();
    expect(await ann.receive()).to.deep.include({ action: 'delete', data: { pk: 1 } });
    car.doors = 5;
    await em.flush();
    await ann.expectSilence();
  });
});
