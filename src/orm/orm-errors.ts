import {
  CheckConstraintViolationException,
  DriverException,
  type EntityMetadata,
  ForeignKeyConstraintViolationException,
  type MetadataStorage,
  NotFoundError,
  NotNullConstraintViolationException,
  OptimisticLockError,
  UniqueConstraintViolationException,
} from '@mikro-orm/core';
import { type ApiError, Conflict, NotFound, TimeLimitExceeded, ValidationFailed } from '../errors.js';

/** What PostgreSQL tells of a violated constraint. */
interface Violation {
  readonly code?: string;
  readonly table?: string;
  readonly column?: string;
  readonly detail?: string;
}

/** PostgreSQL's codes for values too long, too large or of the wrong form: a client's, where no check came first. */
const unfit: ReadonlySet<string> = new Set(['22001', '22003', '22007', '22008', '22021', '22P02', '22P05', '08P01']);

/** PostgreSQL's code for a statement that was cancelled; whoever cancels an action is told so by other means. */
const cancelledStatement = '57014';

/** PostgreSQL's codes for a transaction that it gave up in favour of another one: a deadlock, or one that fits into no order. */
const givenUp: ReadonlySet<string> = new Set(['40P01', '40001']);

/** What the ORM's errors mean to a client; undefined for those that are none of its business. Nothing of SQL gets out. */
export function toApiError(storages: readonly MetadataStorage[], thrown: unknown): ApiError | undefined {
  const cause = { cause: thrown };
  if (thrown instanceof NotFoundError) return new NotFound(undefined, cause);
  if (thrown instanceof OptimisticLockError)
    return new Conflict('The row was changed by someone else meanwhile.', cause);
  if (!(thrown instanceof DriverException)) return undefined;
  const violation: Violation = thrown as DriverException & Violation;
  const meta = storages
    .flatMap((storage) => [...storage.getAll().values()])
    .find((candidate) => candidate.tableName === violation.table);
  if (thrown instanceof UniqueConstraintViolationException) {
    return new Conflict(undefined, { ...cause, errors: [uniqueTexts(meta, violation)] });
  }
  if (thrown instanceof NotNullConstraintViolationException) {
    return new ValidationFailed(undefined, {
      ...cause,
      errors: [{ [fieldOf(meta, violation.column)]: ['This field may not be null.'] }],
    });
  }
  if (thrown instanceof ForeignKeyConstraintViolationException) {
    return new Conflict('A row that this one refers to is missing, or other rows still refer to this one.', cause);
  }
  if (thrown instanceof CheckConstraintViolationException)
    return new ValidationFailed('A value is out of its bounds.', cause);
  if (givenUp.has(String(violation.code)))
    return new Conflict('Someone else was writing the same rows. Try again.', cause);
  if (violation.code === cancelledStatement) return new TimeLimitExceeded('The database took too long.', cause);
  return unfit.has(String(violation.code))
    ? new ValidationFailed('A value does not fit its column.', cause)
    : undefined;
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
