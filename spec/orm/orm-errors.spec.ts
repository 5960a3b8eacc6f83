import { OptimisticLockError } from '@mikro-orm/core';
import { Check, Entity, ManyToOne, PrimaryKey, Property, Unique } from '@mikro-orm/decorators/legacy';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import type { ApiError } from 'signalbox';
import { toApiError } from '#signalbox/orm/orm-errors.js';
import { runStatement, writeConnection } from '#signalbox/orm/statements.js';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';

@Entity()
class Owner {
  @PrimaryKey({ type: 'integer' })
  id!: number;
}

@Entity()
@Unique({ properties: ['houseNumber', 'street'] })
@Check({ expression: 'house_number > 0' })
class House {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'integer' })
  houseNumber!: number;

  @Property({ type: 'string', length: 10 })
  street!: string;

  @Property({ type: 'string', fieldName: 'Plate', unique: true, nullable: true })
  doorPlate?: string | null;

  @ManyToOne(() => Owner, { nullable: true, unique: true, deleteRule: 'no action' })
  owner?: Owner | null;

  @Property({ type: 'string', nullable: true, unique: true, hidden: true })
  keySafe?: string | null;
}

describe('What an error of the ORM means to a client', () => {
  const database = useDatabase('orm_errors', [Owner, House]);
  let em: EntityManager;

  beforeEach(async () => {
    em = database.orm.em.fork();
    await em.execute('insert into owner default values');
    await insert({ plate: `'one'`, owner: '1' });
  });

  it('is 504 for a statement that takes longer than the driver is told to let it', async () => {
    const hasty = await opened({ statement_timeout: 50 });
    try {
      expect(await said(hasty.em.fork().execute('select pg_sleep(10)'))).to.deep.equal({
        status: 504,
        code: 'time_limit_exceeded',
        errors: ['The database took too long.'],
      });
    } finally {
      await hasty.close(true);
    }
  });

  it('is 409 with the property for a unique column', async () => {
    expect(await said(insert({ street: `'b'`, plate: `'one'` }))).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors: [{ doorPlate: ['An object with this doorPlate already exists.'] }],
    });
  });

  it('names no property that is hidden', async () => {
    await em.execute(`update house set key_safe = '7'`);
    const insertion = em.execute(`insert into house (house_number, street, key_safe) values (2, 'b', '7')`);
    expect(await said(insertion)).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors: [{ non_field_errors: ['This already exists.'] }],
    });
  });

  it('is 409 with the property for a unique relation', async () => {
    expect(await said(insert({ street: `'b'`, owner: '1' }))).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors: [{ owner: ['An object with this owner already exists.'] }],
    });
  });

  it('is 409 with all properties for several columns that are unique together', async () => {
    expect(await said(insert({}))).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors: [{ non_field_errors: ['The fields houseNumber, street must make a unique set.'] }],
    });
  });

  it('is 409 for a row that others refer to, and for a reference to none', async () => {
    const errors = ['A row that this one refers to is missing, or other rows still refer to this one.'];
    expect(await said(em.execute('delete from owner'))).to.deep.equal({ status: 409, code: 'conflict', errors });
    expect(await said(insert({ street: `'b'`, owner: '404' }))).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors,
    });
  });

  it('is 400 with the property for a column that may not be null', async () => {
    expect(await said(insert({ number: 'null' }))).to.deep.equal({
      status: 400,
      code: 'validation_failed',
      errors: [{ houseNumber: ['This field may not be null.'] }],
    });
  });

  it('is 400 for a check', async () => {
    expect(await said(insert({ number: '-1' }))).to.deep.equal({
      status: 400,
      code: 'validation_failed',
      errors: ['A value is out of its bounds.'],
    });
  });

  for (const { title, number = '1', street = `'b'` } of [
    { title: 'a text that is too long', street: `'12345678901'` },
    { title: 'a number that is too large', number: '2147483648' },
    { title: 'a text that is no number', number: `'abc'` },
  ]) {
    it(`is 400 for ${title}`, async () => {
      expect(await said(insert({ number, street }))).to.deep.equal({
        status: 400,
        code: 'validation_failed',
        errors: ['A value does not fit its column.'],
      });
    });
  }

  it('is 404 for a row that is not there', async () => {
    expect(await said(em.findOneOrFail(House, 404))).to.deep.equal({
      status: 404,
      code: 'not_found',
      errors: ['Not found.'],
    });
  });

  for (const { title, code } of [
    { title: 'a deadlock', code: '40P01' },
    { title: 'a transaction that cannot be brought in line with another one', code: '40001' },
  ]) {
    it(`is 409 for ${title}: the same request may succeed`, async () => {
      const failing = em.execute(`do $$ begin raise exception 'secret' using errcode = '${code}'; end $$`);
      expect(await said(failing)).to.deep.equal({
        status: 409,
        code: 'conflict',
        errors: ['Another request was writing the same rows. Try again.'],
      });
    });
  }

  for (const [code, status] of [
    ['40P01', 409],
    ['40001', 409],
    ['57014', 504],
  ] as const) {
    it(`is ${status} for ${code} also in a statement of the framework's own, whose error is the driver's`, async () => {
      const text = `do $$ begin raise exception 'secret' using errcode = '${code}'; end $$`;
      const failing = runStatement(writeConnection(em).getClient(), { text }, []);
      expect(await said(failing)).to.include({ status });
    });
  }

  it('is 409 for a version that has moved on', async () => {
    expect(await said(Promise.reject(OptimisticLockError.lockFailed('House')))).to.deep.equal({
      status: 409,
      code: 'conflict',
      errors: ['The row was changed by another request meanwhile.'],
    });
  });

  it('is 504 for a statement that the driver does not wait for', async () => {
    const hasty = await opened({ query_timeout: 50 });
    try {
      expect(await said(hasty.em.fork().execute('select pg_sleep(1)'))).to.deep.equal({
        status: 504,
        code: 'time_limit_exceeded',
        errors: ['The database took too long.'],
      });
    } finally {
      await hasty.close(true);
    }
  });

  const unavailable = {
    status: 503,
    code: 'unavailable',
    errors: ['The connection to the database failed. Try again later.'],
  };

  for (const code of ['08000', '08003', '08006', '25P03', '25P04', '53300', '57P01', '57P02', '57P03', '57P05']) {
    it(`is 503 for a connection that the database ends or refuses (${code})`, async () => {
      const failing = em.execute(`do $$ begin raise exception 'secret' using errcode = '${code}'; end $$`);
      expect(await said(failing)).to.deep.equal(unavailable);
    });
  }

  it('is 503 for a database that is not there, by address, by name and by socket', async () => {
    for (const options of [{ port: 1 }, { host: 'nowhere.invalid' }, { host: '/nowhere' }]) {
      const lost = await opened(options);
      try {
        expect(await said(lost.em.fork().execute('select 1'))).to.deep.equal(unavailable);
      } finally {
        await lost.close(true);
      }
    }
  });

  it('is 503 where the pool gives no connection in time', async () => {
    const crowded = await opened({ max: 1, connectionTimeoutMillis: 50 });
    const busy = crowded.em.fork();
    try {
      await busy.begin();
      expect(await said(crowded.em.fork().execute('select 1'))).to.deep.equal(unavailable);
      await busy.rollback();
    } finally {
      await crowded.close(true);
    }
  });

  it('says when it is worth another try, some time from 1 s to 3 s', async () => {
    const thrown = await em.execute(`do $$ begin raise exception 'no' using errcode = '57P01'; end $$`).catch((e) => e);
    expect(toApiError([], thrown)?.retryAfter).to.be.within(1_000, 3_000);
  });

  it('is none for sockets that are not of the database', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
    expect(await said(Promise.reject(refused))).to.equal(undefined);
  });

  it('is none for faulty SQL and for errors of others', async () => {
    expect(await said(em.execute('select no_such_column'))).to.equal(undefined);
    expect(await said(em.execute('select 1 / 0'))).to.equal(undefined);
    expect(await said(Promise.reject(new Error('no')))).to.equal(undefined);
  });

  function opened(driverOptions: object): Promise<MikroORM> {
    return connectOrm(addressOf(database), { entities: [Owner, House], ensureDatabase: false, driverOptions });
  }

  function insert({ number = '1', street = `'a'`, plate = 'null', owner = 'null' }): Promise<unknown> {
    return em.execute(
      `insert into house (house_number, street, "Plate", owner_id) values (${number}, ${street}, ${plate}, ${owner})`,
    );
  }

  async function said(work: Promise<unknown>): Promise<Pick<ApiError, 'status' | 'code' | 'errors'> | undefined> {
    const thrown: unknown = await work.then(
      () => new Error('Nothing was thrown.'),
      (error: unknown) => error,
    );
    const error = toApiError([em.getMetadata()], thrown);
    expect(error?.cause).to.equal(error && thrown);
    return error && { status: error.status, code: error.code, errors: error.errors };
  }
});
