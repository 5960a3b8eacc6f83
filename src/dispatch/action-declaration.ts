import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import { ClassMetadata, type ConcreteClass, MemberMetadata } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';
import type { SerializerClass } from '../serializers/serializer.js';

/** A serializer, or a class whose `@Expose`d properties are all that gets out. */
export type ReplyClass = SerializerClass | ConcreteClass<object>;

/** Carries types only; no value is ever there. */
export declare const modelConsumerTypes: unique symbol;

/** A consumer of one model, as far as the types of its actions need it. */
export interface ModelConsumerTypes<Entity, S> {
  readonly [modelConsumerTypes]: { readonly model: Entity; readonly serializer: S };
}

/** What `@Action` wrote on a method. */
export interface ActionDeclaration {
  readonly name?: string;
  readonly status?: number;
  readonly atomic?: boolean;
  readonly detached?: boolean;
  readonly strict?: boolean;
  readonly reply?: ReplyClass;
  readonly permissions?: readonly PermissionExpression[];
  readonly timeLimit?: number;
  /** Whether the first parameter is the object that the client named by its `pk`. */
  readonly isDetail: boolean;
  /** What the kwargs are checked with; without one the method takes none. */
  readonly kwargs?: KwargsSchema;
  /** The run-time type of a detail action's first parameter. */
  readonly model?: unknown;
}

export const actionDeclarations = new MemberMetadata<ActionDeclaration>('action');

/** What an action replies with, where its own declaration does not say it. */
export type ReplyShape = 'row' | 'rows' | 'nothing';

/** Written by the mixins. An override keeps it: its type has to fit. */
export const replyShapes = new MemberMetadata<ReplyShape>('reply-shape');

/** What `@Permissions` wrote on a consumer. */
export const permissionDeclarations = new ClassMetadata<readonly PermissionExpression[]>('permissions');
