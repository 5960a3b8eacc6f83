import type { RowsDescription } from '../consumers/model-rows.js';
import type { JsonSchema } from '../kwargs/json-schema.js';

/** What an application offers to its clients, as plain JSON data. */
export interface ApplicationDescription {
  readonly routes: readonly RouteDescription[];
  readonly serializers: readonly SerializerDescription[];
  /** What `{"$ref": "#/schemas/Name"}` refers to. */
  readonly schemas: Readonly<Record<string, JsonSchema>>;
}

export interface RouteDescription {
  /** As it is written: `/ws/rooms/:room(int)/`. */
  readonly path: string;
  readonly parameters: readonly { readonly name: string; readonly kind: 'text' | 'int' | 'uuid' }[];
  /** What the route checks: schemas of its parameters, query and headers. */
  readonly checks: { readonly [Source in 'params' | 'query' | 'headers']?: JsonSchema };
  readonly middleware: readonly string[];
  /** Whether frames name a stream: `{"stream": …, "payload": …}`. */
  readonly isMultiplexed: boolean;
  readonly streams: readonly StreamDescription[];
}

export interface StreamDescription {
  /** Null on a route with one consumer. */
  readonly stream: string | null;
  /** The class of the consumer. */
  readonly consumer: string;
  /** The class of the entity; null for a consumer without a model. */
  readonly model: string | null;
  readonly serializer: string | null;
  readonly paginator: string | null;
  readonly permissions: PermissionDescription;
  readonly actions: readonly ActionDescription[];
  readonly observers: readonly ObserverDescription[];
  /** The groups that each connection joins. */
  readonly groups: readonly string[];
  /** The types of the messages that it takes from the application (`@OnMessage`). */
  readonly messages: readonly string[];
  readonly takesBinary: boolean;
  readonly subprotocols: readonly string[];
}

export interface ActionDescription {
  /** What clients call. */
  readonly name: string;
  /** Further names that it answers to. */
  readonly aliases: readonly string[];
  /** The method of the consumer. */
  readonly member: string;
  /** Whether the client names a row, which the method is given. */
  readonly isDetail: boolean;
  /** What is sent beside `action` and `request_id`: always an object, unless a library's schema is none. */
  readonly kwargs: JsonSchema;
  /** The `data` of a success; null where nothing is known of it. */
  readonly reply: JsonSchema | null;
  /** Of a success. A generator sends parts with 206 before. */
  readonly status: number;
  readonly sendsParts: boolean;
  readonly isAtomic: boolean;
  /**
   * Whether it changes what is stored, as far as its declaration and its own source tell: one in a transaction, or that flushes, writes; one
   * that calls nothing but queries and `subscribe` reads. Null of any other.
   */
  readonly effect: 'reads' | 'writes' | null;
  /** How `list` and `retrieve` of a model consumer read rows; null for other actions. */
  readonly rows: RowsDescription | null;
  readonly isDetached: boolean;
  /** Whether kwargs that are not known are refused. */
  readonly isStrict: boolean;
  /** In milliseconds. */
  readonly timeLimit: number;
  /** Those of the consumer and its own. */
  readonly permissions: PermissionDescription;
  /** The observers that its method names in a call of `subscribe`. One that subscribes by other ways is not found. */
  readonly subscribesTo: readonly string[];
}

export interface ObserverDescription {
  /** The method of the consumer. */
  readonly member: string;
  /** The class of the entity; null where it observes a signal. */
  readonly model: string | null;
  /** The name on the wire of the signal's events; null where it observes a model. */
  readonly signal: string | null;
  readonly serializer: string | null;
  /** What its frames may have as `action`. */
  readonly actions: readonly string[];
  /** The `data` of its events; of a delete they are the key alone. Null where nothing is known of it. */
  readonly data: JsonSchema | null;
  readonly deleted: JsonSchema | null;
  /** The methods that yield its groups; null: every subscription hears of every row. */
  readonly groups: { readonly ofRow: string; readonly ofConsumer: string } | null;
  /** What ends its subscriptions when it changes: classes of entities, `signal` for a signal. */
  readonly revokedBy: readonly string[];
  /** The actions that subscribe to it, as far as that is seen. */
  readonly subscribedBy: readonly string[];
  readonly isLatest: boolean;
}

export interface SerializerDescription {
  readonly name: string;
  readonly entity: string;
  readonly fields: readonly FieldDescription[];
}

export interface FieldDescription {
  readonly name: string;
  readonly kind: 'column' | 'one' | 'many' | 'computed' | 'embedded';
  readonly isShown: boolean;
  readonly isAccepted: boolean;
  readonly isRequired: boolean;
  readonly isNullable: boolean;
  /** The serializer that shows a relation. */
  readonly nested: string | null;
  /** Who is shown it: names that the provider of rights gives. Null: everyone. */
  readonly rights: { readonly by: string; readonly names: readonly string[] } | null;
}

export interface PermissionDescription {
  /** `all(IsAuthenticated, not(IsBanned))` */
  readonly text: string;
  readonly expression: PermissionData;
}

export type PermissionData =
  | { readonly kind: 'permission'; readonly name: string; readonly asks: readonly string[]; readonly options?: unknown }
  | { readonly kind: 'all' | 'any'; readonly operands: readonly PermissionData[] }
  | { readonly kind: 'not'; readonly operand: PermissionData };
