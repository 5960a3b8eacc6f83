import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import { type Class, ClassMetadata, type ConcreteClass, MemberMetadata } from '../metadata.js';
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
  /** Names that are refused with these texts, and not dropped, where the kwargs do not know them. */
  readonly refuses?: Readonly<Record<string, string>>;
  /** Whether a request that names a `target` is that of the protocol, of the same name, and none of this action. */
  readonly besideTarget?: boolean;
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

/** False where a class takes away what it inherits. */
const notes = new MemberMetadata<ActionDeclaration | false>('action');

/** Makes a method an action. */
export function declareAction(prototype: object, member: string, declaration: ActionDeclaration): void {
  notes.write(prototype, member, declaration);
}

/** The method that a class inherits is no action of it, nor of those that extend it. */
export function takeActionAway({ prototype }: Class, member: string): void {
  notes.write(prototype, member, false);
}

/** The actions of a class, with those that it inherits, by their methods. */
export function declaredActions(owner: Class): ReadonlyMap<string, ActionDeclaration> {
  return new Map([...notes.read(owner)].flatMap(([member, note]) => (note ? [[member, note] as const] : [])));
}

/** What an action replies with, where its own declaration does not say it. */
export type ReplyShape = 'row' | 'rows' | 'several' | 'nothing' | 'kind';

/** Written by the mixins. An override keeps it: its type has to fit. */
export const replyShapes = new MemberMetadata<ReplyShape>('reply-shape');

/** What `@Permissions` wrote on a consumer. */
export const permissionDeclarations = new ClassMetadata<readonly PermissionExpression[]>('permissions');
