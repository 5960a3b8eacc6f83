import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { ActionDefinition, Actions } from './actions.js';

/** What the dispatcher needs of a consumer. */
export interface ActionTarget {
  readonly instance: object;
  readonly scope: Scope;
  readonly actions: Actions;
  /** Begun from the database that the consumer's atomic actions write. */
  readonly unitOfWork: UnitOfWork;
  /** The kwarg by which clients name an object. */
  readonly lookupKwarg: string;
  /** Resolves once the client has read enough for more to be worth sending; undefined where it has. */
  ready(): Promise<void> | undefined;
  /** @throws NotFound */
  loadObject(context: ActionContext): Promise<object>;
  /** What an action returned, as plain data. */
  show(result: unknown, action: ActionDefinition, context: ActionContext): Promise<unknown>;
}
