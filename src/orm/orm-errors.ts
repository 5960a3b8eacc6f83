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

/** PostgreSQL's facts about a violated constraint. */
interface Violation {
  readonly code?: string;
  readonly table?: string;
  readonly column?: string;
  readonly detail?: string;
}

/**
 * PostgreSQL's codes for values that are too long, too large or malformed. They are the client's fault if no check came first. 22000 is a
 * range whose end comes before its beginning.
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

/** PostgreSQL's code for a cancelled statement. If a client cancelled the action, the request itself answers. */
const cancelledStatement = '57014';

/** PostgreSQL's code for a lock that was not available in time. */
export const lockTimeout = '55P03';

/** PostgreSQL's codes for a transaction that it rolled back in favour of another one: a deadlock or a serialization failure. */
const givenUp: ReadonlySet<string> = new Set(['40P01', '40001']);

/** `pg`'s message for a statement that took longer than its `query_timeout`. */
const lateAnswer = 'Query read timeout';

/**
 * PostgreSQL's codes for connections that it refuses or ends: connection exceptions, a statement with unknown completion, time limits of
 * sessions and transactions, too many connections, a shutdown, a start.
 */
const disconnections = /^(08...|40003|25P0[34]|53300|57P0[1235])$/;

/** Node's codes for a closed or broken network connection. */
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

/** `pg`'s messages for a statement that it did not send, because it knew that the connection was lost. */
const unsent: ReadonlySet<string> = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
]);

/** Messages of `pg` and its pool for a connection that is lost or was not available in time. */
const lost: ReadonlySet<string> = new Set([
  ...unsent,
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
]);

/** The advice in the log when a database cannot be reached. */
export const databaseRemedy =
  'Start the database server, or correct its address. `signalbox doctor` says whether it answers.';

const privilegeRemedy =
  'If clients should be able to do this, GRANT it to the user of the database, or let a policy of row level security pass it.';

/** COMMIT was sent and not answered: the transaction may or may not have taken effect. */
export class CommitInDoubt extends ConnectionException {}

/** Whether PostgreSQL, its driver or the network failed, and MikroORM has not yet made an error of its own of that. */
export function isDatabaseFailure(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof DriverException) return false;
  return 'severity' in error || error.message === lateAnswer || lost.has(error.message) || isBrokenWay(error);
}

/** Whether the connection failed, and not the statement. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = codeOf(error);
  // PostgreSQL reports values that it cannot read as protocol violations too; poolers report connections that they end as such.
  if ('severity' in error) return disconnections.test(code) && (code !== '08P01' || error.severity === 'FATAL');
  // Other sockets break as well: only MikroORM knows that this one led to the database.
  return lost.has(error.message) || (error instanceof DriverException && isBrokenWay(error));
}

/**
 * Whether the statement may succeed if it is tried again a moment later: the connection failed, the database rolled the statement back in
 * favour of another one, or it took too long.
 */
export function isPassingFailure(error: unknown): boolean {
  if (isConnectionFailure(error)) return true;
  if (!(error instanceof Error)) return false;
  if (error.message === lateAnswer) return true;
  const code = codeOf(error);
  return 'severity' in error && (givenUp.has(code) || code === cancelledStatement || code === lockTimeout);
}

/** Whether a failed statement certainly had no effect: PostgreSQL refused it, or never received it. */
export function isWithoutEffect(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof ConfigurationError) return isWithoutEffect(error.cause);
  return unsent.has(error.message) || ('severity' in error && !isConnectionFailure(error));
}

/** Whether the network connection broke. A missing Unix socket means that the server does not run. */
function isBrokenWay(error: Error): boolean {
  const code = codeOf(error);
  return brokenWays.has(code) || (code === 'ENOENT' && Reflect.get(error, 'syscall') === 'connect');
}

function codeOf(error: Error): string {
  return String(Reflect.get(error, 'code'));
}

/** Suggested retry delay in ms. It is random, so that refused clients do not all return at once. */
function retryAfter(): number {
  return 1_000 + Math.random() * 2_000;
}

/** The client's error for an error of the ORM; undefined if the client can do nothing about it. It never shows SQL. */
export function toApiError(storages: readonly MetadataStorage[], thrown: unknown): ApiError | undefined {
  const cause = { cause: thrown };
  if (thrown instanceof NotFoundError) return new NotFound(undefined, cause);
  if (thrown instanceof OptimisticLockError)
    return new Conflict('The row was changed by another request meanwhile.', cause);
  if (thrown instanceof CommitInDoubt) return new OutcomeUnknown(undefined, cause);
  if (isConnectionFailure(thrown))
    return new Unavailable(undefined, { ...cause, retryAfter: retryAfter(), remedy: databaseRemedy });
  // The framework's own statements, which lock rows and write the log, fail with the driver's error.
  if (thrown instanceof DriverException || isDatabaseFailure(thrown)) {
    const { code }: Violation = thrown as Violation;
    if (code !== undefined && givenUp.has(code))
      return new Conflict('Another request was writing the same rows. Try again.', cause);
    if (code === cancelledStatement || thrown.message === lateAnswer)
      return new TimeLimitExceeded('The database took too long.', cause);
  }
  // COMMIT fails with the driver's own error, for example for a deferred constraint.
  if (!(thrown instanceof DriverException) && !isDatabaseFailure(thrown)) return undefined;
  return violationError(storages, thrown as Violation, cause);
}

/** Maps PostgreSQL's code, which the errors of the ORM and of the driver both have. */
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

/** The index of the list item whose row the database refused, by the error. */
const refusedItems = new WeakMap<object, number>();

export function noteItem(error: unknown, index: number): void {
  if (typeof error === 'object' && error !== null) refusedItems.set(error, index);
}

function ofItem(error: object, detail: ErrorDetail): ErrorDetail {
  const index = refusedItems.get(error);
  return index === undefined ? detail : indexed(index, detail);
}

/** The detail of one item of a list: `{"title": […]}` -> `{"1.title": […]}`, and a sentence -> `{"1": […]}`. */
export function indexed(index: number, detail: ErrorDetail): ErrorDetail {
  if (typeof detail === 'string') return { [index]: [detail] };
  return Object.fromEntries(Object.entries(detail).map(([field, texts]) => [`${index}.${field}`, texts]));
}

/**
 * Whether the refused value is the one that this row was to be given. PostgreSQL reports some values in another form than they were written
 * in.
 */
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

/** The value as PostgreSQL writes it. */
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

/** The field's name in the error. Hidden properties, and columns without a property, are not named to clients. */
function fieldOf(meta: EntityMetadata | undefined, column: string | undefined): string {
  const prop = meta?.props.find(({ fieldNames }) => column !== undefined && fieldNames?.includes(column));
  return prop && !prop.hidden ? prop.name : 'non_field_errors';
}
