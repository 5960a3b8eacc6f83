import type { RowsDescription } from '../consumers/model-rows.js';
import type { JsonSchema } from '../kwargs/json-schema.js';

/** What an application offers to its clients, as plain JSON data. */
export interface ApplicationDescription {
  /** In the order in which patterns are tried. */
  readonly routes: readonly RouteDescription[];
  /** The serializers that consumers and observers use, nested ones included; each once. */
  readonly serializers: readonly SerializerDescription[];
  /** What `{"$ref": "#/schemas/Name"}` refers to. */
  readonly schemas: Readonly<Record<string, JsonSchema>>;
}

/** One path of the application. */
export interface RouteDescription {
  /** As it is written: `/ws/rooms/:room(int)/`. */
  readonly path: string;
  /** The parameters of the path, in its order. */
  readonly parameters: readonly { readonly name: string; readonly kind: 'text' | 'int' | 'uuid' }[];
  /** What the route checks: schemas of its parameters, query and headers. */
  readonly checks: { readonly [Source in 'params' | 'query' | 'headers']?: JsonSchema };
  /** The names of the classes, in the order in which they run. */
  readonly middleware: readonly string[];
  /** Whether frames name a stream: `{"stream": …, "payload": …}`. */
  readonly isMultiplexed: boolean;
  /** One for each consumer of the route. */
  readonly streams: readonly StreamDescription[];
}

/** One consumer on one route. */
export interface StreamDescription {
  /** Null on a route with one consumer. */
  readonly stream: string | null;
  /** The class of the consumer. */
  readonly consumer: string;
  /** The class of the entity; null for a consumer without a model. */
  readonly model: string | null;
  /** The class of its serializer; null for a consumer without a model. */
  readonly serializer: string | null;
  /** The class of its paginator; null where lists are whole. */
  readonly paginator: string | null;
  /** Who may connect and call its actions. */
  readonly permissions: PermissionDescription;
  readonly actions: readonly ActionDescription[];
  readonly observers: readonly ObserverDescription[];
  /** The groups that each connection joins. */
  readonly groups: readonly string[];
  /** The types of the messages that it takes from the application (`@OnMessage`). */
  readonly messages: readonly string[];
  /** Whether binary frames go to `onBinary`. */
  readonly takesBinary: boolean;
  /** The subprotocols that the consumer speaks, the preferred one first; empty where it takes what the client prefers. */
  readonly subprotocols: readonly string[];
}

/** One action of a consumer. */
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
  /** The status of a success. A generator sends parts with 206 before. */
  readonly status: number;
  /** Whether its method is a generator. */
  readonly sendsParts: boolean;
  /** Whether it runs in a transaction. */
  readonly isAtomic: boolean;
  /**
   * Whether it changes what is stored, as far as its declaration and its own source tell: one in a transaction, or that flushes, writes; one
   * that calls nothing but queries and `subscribe` reads. Null of any other.
   */
  readonly effect: 'reads' | 'writes' | null;
  /** How `list` and `retrieve` of a model consumer read rows; null for other actions. */
  readonly rows: RowsDescription | null;
  /** Whether it holds up no other request of its stream. */
  readonly isDetached: boolean;
  /** Whether kwargs that are not known are refused. */
  readonly isStrict: boolean;
  /** In milliseconds. */
  readonly timeLimit: number;
  /** The permissions of the consumer and of the action. */
  readonly permissions: PermissionDescription;
  /** The observers that its method names in a call of `subscribe`. One that subscribes by other ways is not found. */
  readonly subscribesTo: readonly string[];
}

/** One observer of a consumer. */
export interface ObserverDescription {
  /** The method of the consumer. */
  readonly member: string;
  /** The class of the entity; null where it observes a signal. */
  readonly model: string | null;
  /** The name on the wire of the signal's events; null where it observes a model. */
  readonly signal: string | null;
  /** The class that shows its rows; null where a body or nothing does. */
  readonly serializer: string | null;
  /** What its frames may have as `action`. */
  readonly actions: readonly string[];
  /** The `data` of its events; of a delete they are the key alone. Null where nothing is known of it. */
  readonly data: JsonSchema | null;
  /** The `data` of its delete events; null where it observes a signal. */
  readonly deleted: JsonSchema | null;
  /** The methods that yield its groups; null: every subscription hears of every row. */
  readonly groups: { readonly ofRow: string; readonly ofConsumer: string } | null;
  /** What ends its subscriptions when it changes: classes of entities, `signal` for a signal. */
  readonly revokedBy: readonly string[];
  /** The actions that subscribe to it, as far as that is seen. */
  readonly subscribedBy: readonly string[];
  /** Whether a client that reads slowly gets the last of several changes of a row only. */
  readonly isLatest: boolean;
}

/** One serializer of an entity. */
export interface SerializerDescription {
  /** Its class. */
  readonly name: string;
  /** The class of its entity. */
  readonly entity: string;
  readonly fields: readonly FieldDescription[];
}

/** One field of a serializer. */
export interface FieldDescription {
  readonly name: string;
  /** `one` and `many` are relations. */
  readonly kind: 'column' | 'one' | 'many' | 'computed' | 'embedded';
  /** Whether replies and events have it. */
  readonly isShown: boolean;
  /** Whether clients may send it. */
  readonly isAccepted: boolean;
  /** Whether `create` and `update` need it. */
  readonly isRequired: boolean;
  /** Whether its value may be null. */
  readonly isNullable: boolean;
  /** The serializer that shows a relation. */
  readonly nested: string | null;
  /** The rights that show it: names that the provider gives. Null: every client sees it. */
  readonly rights: { readonly by: string; readonly names: readonly string[] } | null;
}

/** A permission expression, for people and for programs. */
export interface PermissionDescription {
  /** `all(IsAuthenticated, not(IsBanned))` */
  readonly text: string;
  /** The expression as a tree. */
  readonly expression: PermissionData;
}

/** A permission expression as data. */
export type PermissionData =
  | { readonly kind: 'permission'; readonly name: string; readonly asks: readonly string[]; readonly options?: unknown }
  | { readonly kind: 'all' | 'any'; readonly operands: readonly PermissionData[] }
  | { readonly kind: 'not'; readonly operand: PermissionData };
