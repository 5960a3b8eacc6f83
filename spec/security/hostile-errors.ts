import type { EntityManager } from '@mikro-orm/core';
import type { SqlEntityManager } from '@mikro-orm/postgresql';
import { IsIn, IsInt, validateOrReject } from 'class-validator';
import { Disconnected, ValidationFailed } from 'signalbox';
import { Room } from '../support/entities.js';

/** Stands in every text that no client may see. */
export const secret = 'hunter2';

class Rules {
  @IsInt() @IsIn([1]) secretField: unknown = secret;
}

class Hostile extends Error {
  override get message(): string {
    throw new Error(secret);
  }
}

class NoStack extends Error {
  override get name(): string {
    throw new Error(secret);
  }
  // biome-ignore lint/suspicious/noExplicitAny: whatever it says, it throws
  override get stack(): any {
    throw new Error(secret);
  }
}

/** What code may throw. */
export interface Thrown {
  readonly name: string;
  /** Whether an observer that fails like this runs again; where it goes on to fail, its client has to read anew. */
  readonly isPassing?: true;
  throw(em: EntityManager): unknown;
  /** What the client is told; a server error where nothing stands here. */
  readonly told?: { readonly status: number; readonly code: string; readonly errors: readonly unknown[] };
}

const raising = (value: () => unknown) => (): never => {
  throw value();
};

const sql = (text: string) => (em: EntityManager) => em.getConnection().execute(text);

/** Through the ORM, so that its own errors are thrown. */
const query = (text: string) => (em: EntityManager) => (em as SqlEntityManager).execute(text);

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const itself: Record<string, unknown> = { secret };
itself['itself'] = itself;

const conflict = 'A row that this one refers to is missing, or other rows still refer to this one.';
const table = (column: string) => `insert into room (${column}) values`;

export const thrown: readonly Thrown[] = [
  { name: 'an Error', throw: raising(() => new Error(secret)) },
  { name: 'an Error with a cause', throw: raising(() => new Error('outer', { cause: new Error(secret) })) },
  { name: 'a TypeError of the engine', throw: () => (undefined as never as Room).name },
  { name: 'a string', throw: raising(() => secret) },
  { name: 'an empty string', throw: raising(() => '') },
  { name: 'null', throw: raising(() => null) },
  { name: 'undefined', throw: raising(() => undefined) },
  { name: 'a number', throw: raising(() => 42) },
  { name: 'a bigint', throw: raising(() => 42n) },
  { name: 'a symbol', throw: raising(() => Symbol(secret)) },
  { name: 'a function', throw: raising(() => () => secret) },
  { name: 'an object', throw: raising(() => ({ status: 400, code: secret, errors: [secret], message: secret })) },
  { name: 'an object without a prototype', throw: raising(() => Object.assign(Object.create(null), { secret })) },
  { name: 'an object that contains itself', throw: raising(() => itself) },
  { name: 'a revoked proxy', throw: raising(revoked) },
  { name: 'an error whose message throws', throw: raising(() => new Hostile()) },
  { name: 'an error whose name and stack throw', throw: raising(() => new NoStack()) },
  {
    name: 'an object whose toJSON and toString throw',
    throw: raising(() => ({ toJSON: raising(() => new Error(secret)), toString: raising(() => new Error(secret)) })),
  },
  { name: 'an AggregateError', throw: raising(() => new AggregateError([new Error(secret), secret], secret)) },
  { name: 'a rejected list', throw: () => Promise.any([Promise.reject(new Error(secret))]) },
  { name: 'the end of another connection', throw: raising(() => new Disconnected(secret)) },
  { name: 'the failures of class-validator, in its own form', throw: () => validateOrReject(new Rules()) },
  {
    name: 'a refusal whose texts are no JSON',
    throw: raising(() => ValidationFailed.of({ count: [1n as never] })),
  },
  { name: 'faulty SQL', throw: query(`selec '${secret}' from room`) },
  { name: 'a table that is not there', throw: query(`select * from ${secret}`) },
  {
    name: 'a serialization failure',
    isPassing: true,
    throw: query(`do $$ begin raise exception '${secret}' using errcode = '40001'; end $$`),
    told: { status: 409, code: 'conflict', errors: ['Another request was writing the same rows. Try again.'] },
  },
  { name: 'an error of a database function', throw: query(`do $$ begin raise exception '${secret}'; end $$`) },
  {
    name: 'an error of the driver itself',
    throw: sql(`select '${secret}'::int / 0`),
    told: { status: 400, code: 'validation_failed', errors: ['A value does not fit its column.'] },
  },
  {
    name: 'a unique violation',
    throw: query(`${table('name, archived')} ('${secret}', false), ('${secret}', false)`),
    told: { status: 409, code: 'conflict', errors: [{ name: ['An object with this name already exists.'] }] },
  },
  {
    name: 'a null',
    throw: query(`${table('name, archived')} (null, false)`),
    told: { status: 400, code: 'validation_failed', errors: [{ name: ['This field may not be null.'] }] },
  },
  {
    name: 'a check',
    throw: query(`${table('name, archived')} ('${secret}!', false)`),
    told: { status: 400, code: 'validation_failed', errors: ['A value is out of its bounds.'] },
  },
  {
    name: 'a foreign key',
    throw: query(`${table('name, archived, host_id')} ('a', false, 99)`),
    told: { status: 409, code: 'conflict', errors: [conflict] },
  },
  {
    name: 'a text that is too long',
    throw: query(`${table('name, archived')} (repeat('${secret}', 99), false)`),
    told: { status: 400, code: 'validation_failed', errors: ['A value does not fit its column.'] },
  },
  {
    name: 'a text that is no number',
    throw: query(`select '${secret}'::int`),
    told: { status: 400, code: 'validation_failed', errors: ['A value does not fit its column.'] },
  },
  {
    name: 'a row that is not there',
    throw: (em) => em.findOneOrFail(Room, { name: secret }),
    told: { status: 404, code: 'not_found', errors: ['Not found.'] },
  },
  { name: 'a property that is not there', throw: (em) => em.findOne(Room, { [secret]: 1 } as never) },
];
