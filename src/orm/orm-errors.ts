import {
  ConnectionException,
  DriverException,
  type EntityMetadata,
  helper,
  type MetadataStorage,
  NotFoundError,
  OptimisticLockError,
  Utils,
} from '@mikro-orm/core';
import {
  type ApiError,
  ConfigurationError,
  Conflict,
  type ErrorDetail,
  NotFound,
  OutcomeUnknown,
  PermissionDenied,
  TimeLimitExceeded,
  Unavailable,
  ValidationFailed,
} from '../errors.js';

/** What PostgreSQL tells of a violated constraint. */
interface Violation {
  readonly code?: string;
  readonly table?: string;
  readonly column?: string;
  readonly detail?: string;
}

/**
 * PostgreSQL's codes for values too long, too large or of the wrong form: a client's, where no check came first. 22000 is a range whose end
 * comes before its beginning.
 */
const unfit: ReadonlySet<string> = new Set([
  '22000',
  '22001',
  '22003',
  '22007',
  '22008',
  '22015',
  '22021',
  '2202E',
  '22P02',
  '22P03',
  '22P05',
  '08P01',
]);

/** PostgreSQL's code for a statement that was cancelled; a client that cancels an action is answered by the request itself. */
const cancelledStatement = '57014';

/** PostgreSQL's code for a lock that was not to be had in time. */
export const lockTimeout = '55P03';

/** PostgreSQL's codes for a transaction that it gave up in favour of another one: a deadlock, or one that fits into no order. */
const givenUp: ReadonlySet<string> = new Set(['40P01', '40001']);

/** What `pg` says of a statement that took longer than its `query_timeout`. */
const lateAnswer = 'Query read timeout';

/**
 * PostgreSQL's codes for connections that it refuses or ends: connection exceptions, a statement of which it does not know whether it
 * was completed, time limits of sessions and transactions, too many connections, a shutdown, a start.
 */
const disconnections = /^(08...|40003|25P0[34]|53300|57P0[1235])$/;

/** Node's codes for a way to the database that is closed or broken. */
const brokenWays: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** What `pg` says of a statement that it has not sent, because it knows already that the connection is lost. */
const unsent: ReadonlySet<string> = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
]);

/** What `pg` and its pool say of a connection that is lost, or not to be had in time. */
const lost: ReadonlySet<string> = new Set([
  ...unsent,
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
]);

/** For the log, where a database cannot be reached. */
export const databaseRemedy =
  'Start the database server, or correct its address. `signalbox doctor` says whether it answers.';

const privilegeRemedy =
  'If clients should be able to do this, GRANT it to the user of the database, or let a policy of row level security pass it.';

/** COMMIT was sent and not answered: the transaction took effect, or it did not. */
export class CommitInDoubt extends ConnectionException {}

/** Whether PostgreSQL, its driver or the way to it failed, and MikroORM has not made an error of its own of that yet. */
export function isDatabaseFailure(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof DriverException) return false;
  return 'severity' in error || error.message === lateAnswer || lost.has(error.message) || isBrokenWay(error);
}

/** Whether the connection failed, and not the statement. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  // A protocol violation is what PostgreSQL says of values that it cannot read, and poolers say of connections that they end.
  if ('severity' in error) return disconnections.test(code) && (code !== '08P01' || error.severity === 'FATAL');
  // Other sockets break as well: only MikroORM knows that it was one of the database.
  return lost.has(error.message) || (error instanceof DriverException && isBrokenWay(error));
}

/**
 * Whether the same statement may well succeed a moment later: the connection failed, the database gave the statement up in favour of another
 * one, or it took too long.
 */
export function isPassingFailure(error: unknown): boolean {
  if (isConnectionFailure(error)) return true;
  if (!(error instanceof Error)) return false;
  if (error.message === lateAnswer) return true;
  const code = codeOf(error);
  return 'severity' in error && (givenUp.has(code) || code === cancelledStatement || code === lockTimeout);
}

/** Whether a statement took no effect although it failed: PostgreSQL refused it, or never got it. */
export function isWithoutEffect(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof ConfigurationError) return isWithoutEffect(error.cause);
  return unsent.has(error.message) || ('severity' in error && !isConnectionFailure(error));
}

/** A socket of Unix that is not there is a server that does not run. */
function isBrokenWay(error: Error): boolean {
  const code = codeOf(error);
  return brokenWays.has(code) || (code === 'ENOENT' && Reflect.get(error, 'syscall') === 'connect');
}

function codeOf(error: Error): string {
  return String(Reflect.get(error, 'code'));
}

/** Milliseconds until another try is worth it. Random, so that the clients that were refused do not all come back at once. */
function retryAfter(): number {
  return 1_000 + Math.random() * 2_000;
}

/** What the ORM's errors mean to a client; undefined for those that are none of its business. Nothing of SQL gets out. */
export function toApiError(storages: readonly MetadataStorage[], thrown: unknown): ApiError | undefined {
  const cause = { cause: thrown };
  if (thrown instanceof NotFoundError) return new NotFound(undefined, cause);
  if (thrown instanceof OptimisticLockError)
    return new Conflict('The row was changed by someone else meanwhile.', cause);
  if (thrown instanceof CommitInDoubt) return new OutcomeUnknown(undefined, cause);
  if (isConnectionFailure(thrown))
    return new Unavailable(undefined, { ...cause, retryAfter: retryAfter(), remedy: databaseRemedy });
  // Statements of the framework's own, which lock rows and write the log, fail with an error of the driver.
  if (thrown instanceof DriverException || isDatabaseFailure(thrown)) {
    const { code }: Violation = thrown as Violation;
    if (code !== undefined && givenUp.has(code))
      return new Conflict('Someone else was writing the same rows. Try again.', cause);
    if (code === cancelledStatement || thrown.message === lateAnswer)
      return new TimeLimitExceeded('The database took too long.', cause);
  }
  // What fails with COMMIT is the driver's own error: a constraint that is deferred, say.
  if (!(thrown instanceof DriverException) && !isDatabaseFailure(thrown)) return undefined;
  return violationError(storages, thrown as Violation, cause);
}

/** By PostgreSQL's code, which the ORM's error and the driver's both have. */
function violationError(
  storages: readonly MetadataStorage[],
  violation: Violation,
  cause: { readonly cause: unknown },
): ApiError | undefined {
  const { code = '', table, column } = violation;
  const meta = storages
    .flatMap((storage) => [...storage.getAll().values()])
    .find((candidate) => candidate.tableName === table);
  switch (code) {
    case '23505':
      return new Conflict(undefined, { ...cause, errors: [ofItem(violation, uniqueTexts(meta, violation))] });
    case '23P01':
      return new Conflict('A value is in conflict with one of another row.', cause);
    case '23503':
    case '23001':
      return new Conflict('A row that this one refers to is missing, or other rows still refer to this one.', cause);
    case '23502': {
      const errors = [{ [fieldOf(meta, column)]: ['This field may not be null.'] }];
      return new ValidationFailed(undefined, { ...cause, errors });
    }
    case '23514':
      return new ValidationFailed('A value is out of its bounds.', cause);
    case '42501':
      return new PermissionDenied('The database does not permit this.', { ...cause, remedy: privilegeRemedy });
  }
  return unfit.has(code) ? new ValidationFailed('A value does not fit its column.', cause) : undefined;
}

/** The item of a list whose row the database has refused, by the error. */
const refusedItems = new WeakMap<object, number>();

export function noteItem(error: unknown, index: number): void {
  if (typeof error === 'object' && error !== null) refusedItems.set(error, index);
}

function ofItem(error: object, detail: ErrorDetail): ErrorDetail {
  const index = refusedItems.get(error);
  return index === undefined ? detail : indexed(index, detail);
}

/** The detail of an item of a list: `{"title": […]}` -> `{"1.title": […]}`, and a sentence -> `{"1": […]}`. */
export function indexed(index: number, detail: ErrorDetail): ErrorDetail {
  if (typeof detail === 'string') return { [index]: [detail] };
  return Object.fromEntries(Object.entries(detail).map(([field, texts]) => [`${index}.${field}`, texts]));
}

/** Whether a row was to be given the value that another row has already. Not all values are told as they were written. */
export function isRefusedValueOf(row: object, meta: EntityMetadata, error: unknown): boolean {
  const detail = String(Reflect.get(Object(error), 'detail'));
  const columns = /\((.+?)\)=\(/.exec(detail)?.[1] ?? '';
  const props = columns
    .split(', ')
    .map((column) => meta.props.find(({ fieldNames }) => fieldNames?.join() === column.replaceAll('"', '')));
  const texts = props.map((prop) => prop && textOf(Reflect.get(row, prop.name)));
  const { __originalEntityData: stored = {} } = helper(row) as { __originalEntityData?: Record<string, unknown> };
  const isChanged = props.some((prop, index) => prop && textOf(stored[prop.name]) !== texts[index]);
  return isChanged && detail.includes(`(${columns})=(${texts.join(', ')})`);
}

/** As PostgreSQL writes it. */
function textOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return String(Utils.isEntity<object>(value, true) ? helper(value).getPrimaryKey() : value);
}

function uniqueTexts(meta: EntityMetadata | undefined, { detail }: Violation): Record<string, string[]> {
  const columns = /^Key \((.+?)\)=/.exec(detail ?? '')?.[1]?.split(', ') ?? [];
  const fields = columns.map((column) => fieldOf(meta, column.replaceAll('"', '')));
  const [field] = fields;
  if (field === undefined || fields.includes('non_field_errors')) return { non_field_errors: ['This already exists.'] };
  if (fields.length > 1) return { non_field_errors: [`The fields ${fields.join(', ')} must make a unique set.`] };
  return { [field]: [`An object with this ${field} already exists.`] };
}

/** Names of hidden properties, and of columns that are no property, are nothing for clients. */
function fieldOf(meta: EntityMetadata | undefined, column: string | undefined): string {
  const prop = meta?.props.find(({ fieldNames }) => column !== undefined && fieldNames?.includes(column));
  return prop && !prop.hidden ? prop.name : 'non_field_errors';
}
