import type { RowsDescription } from '../consumers/model-rows.js';
import type { JsonSchema } from '../kwargs/json-schema.js';

/** The API of an application, as plain JSON data. */
export interface ApplicationDescription {
  /** The routes, in the order in which patterns are tried. */
  readonly routes: readonly RouteDescription[];
  /** The serializers of consumers and observers, including nested ones, each once. */
  readonly serializers: readonly SerializerDescription[];
  /** The schemas that `{"$ref": "#/schemas/Name"}` refers to. */
  readonly schemas: Readonly<Record<string, JsonSchema>>;
}

/** One path of the application. */
export interface RouteDescription {
  /** The path as it is written: `/ws/rooms/:room(int)/`. */
  readonly path: string;
  /** The parameters of the path, in order. */
  readonly parameters: readonly { readonly name: string; readonly kind: 'text' | 'int' | 'uuid' }[];
  /** The schemas of the parameters, query and headers that the route checks. */
  readonly checks: { readonly [Source in 'params' | 'query' | 'headers']?: JsonSchema };
  /** The names of the middleware classes, in the order in which they run. */
  readonly middleware: readonly string[];
  /** Whether frames name a stream: `{"stream": …, "payload": …}`. */
  readonly isMultiplexed: boolean;
  /** The streams, one for each consumer of the route. */
  readonly streams: readonly StreamDescription[];
}

/** One consumer on one route. */
export interface StreamDescription {
  /** The name of the stream; null on a route with one consumer. */
  readonly stream: string | null;
  /** The class of the consumer. */
  readonly consumer: string;
  /** The class of the entity; null for a consumer without a model. */
  readonly model: string | null;
  /** The class of its serializer; null for a consumer without a model. */
  readonly serializer: string | null;
  /** The class of its paginator; null if lists have no pages. */
  readonly paginator: string | null;
  /** The permissions that a client needs to connect and to call its actions. */
  readonly permissions: PermissionDescription;
  /** Its actions, also those of its mixins. */
  readonly actions: readonly ActionDescription[];
  /** Its observers, also those of its mixins. */
  readonly observers: readonly ObserverDescription[];
  /** The groups that each connection joins. */
  readonly groups: readonly string[];
  /** The types of the messages that it receives from the application (`@OnMessage`). */
  readonly messages: readonly string[];
  /** Whether binary frames go to `onBinary`. */
  readonly takesBinary: boolean;
  /** The subprotocols that the consumer speaks, the preferred one first; empty if it accepts the client's preferred one. */
  readonly subprotocols: readonly string[];
}

/** One action of a consumer. */
export interface ActionDescription {
  /** The name that clients call. */
  readonly name: string;
  /** Further names of the action. */
  readonly aliases: readonly string[];
  /** The method of the consumer. */
  readonly member: string;
  /** Whether the client names a row, which the method receives. */
  readonly isDetail: boolean;
  /** The schema of the request without `action` and `request_id`: an object, unless a library's schema says otherwise. */
  readonly kwargs: JsonSchema;
  /** The schema of a success' `data`; null if it is not known. */
  readonly reply: JsonSchema | null;
  /** The status of a success. A generator sends parts with 206 before it. */
  readonly status: number;
  /** Whether its method is a generator, which sends parts. */
  readonly sendsParts: boolean;
  /** Whether it runs in a transaction. */
  readonly isAtomic: boolean;
  /**
   * Whether it changes stored data, as far as its declaration and its source show: an action in a transaction, or one that flushes, writes;
   * one that calls only queries and `subscribe` reads. Null for any other.
   */
  readonly effect: 'reads' | 'writes' | null;
  /** How `list` and `retrieve` of a model consumer read rows; null for other actions. */
  readonly rows: RowsDescription | null;
  /** Whether later requests of its stream do not wait for it. */
  readonly isDetached: boolean;
  /** Whether unknown kwargs are refused. */
  readonly isStrict: boolean;
  /** The time limit in milliseconds. */
  readonly timeLimit: number;
  /** The permissions of the consumer and of the action. */
  readonly permissions: PermissionDescription;
  /** The observers that its method names in calls of `subscribe`. Other ways of subscribing are not found. */
  readonly subscribesTo: readonly string[];
}

/** One observer of a consumer. */
export interface ObserverDescription {
  /** The method of the consumer. */
  readonly member: string;
  /** The class of the entity; null for an observer of a signal. */
  readonly model: string | null;
  /** The `action` of a signal's events; null for an observer of a model. */
  readonly signal: string | null;
  /** The class that shows its rows; null for an observer with a body, or with neither. */
  readonly serializer: string | null;
  /** The possible `action`s of its frames. */
  readonly actions: readonly string[];
  /** The schema of its events' `data`; those of a delete are only the key. Null if it is not known. */
  readonly data: JsonSchema | null;
  /** The schema of its delete events' `data`; null for an observer of a signal. */
  readonly deleted: JsonSchema | null;
  /** The methods that yield its groups; null if every subscription receives every row. */
  readonly groups: { readonly ofRow: string; readonly ofConsumer: string } | null;
  /** The rules that recheck its subscriptions: classes of entities, `signal` for a signal. */
  readonly revokedBy: readonly string[];
  /** The known actions that subscribe to it. */
  readonly subscribedBy: readonly string[];
  /** Whether a client that reads slowly gets only the last of several changes of a row. */
  readonly isLatest: boolean;
}

/** One serializer of an entity. */
export interface SerializerDescription {
  /** The class of the serializer. */
  readonly name: string;
  /** The class of its entity. */
  readonly entity: string;
  /** Its fields, shown or accepted. */
  readonly fields: readonly FieldDescription[];
}

/** One field of a serializer. */
export interface FieldDescription {
  /** The name of the property or of the computed field. */
  readonly name: string;
  /** The kind of the field; `one` and `many` are relations. */
  readonly kind: 'column' | 'one' | 'many' | 'computed' | 'embedded';
  /** Whether replies and events include it. */
  readonly isShown: boolean;
  /** Whether clients may send it. */
  readonly isAccepted: boolean;
  /** Whether `create` and `update` need it. */
  readonly isRequired: boolean;
  /** Whether its value may be null. */
  readonly isNullable: boolean;
  /** The serializer that shows a relation. */
  readonly nested: string | null;
  /** The rights that show it, by the names that the provider returns; null if every client sees it. */
  readonly rights: { readonly by: string; readonly names: readonly string[] } | null;
}

/** A permission expression, for people and for programs. */
export interface PermissionDescription {
  /** The expression as text: `all(IsAuthenticated, not(IsBanned))`. */
  readonly text: string;
  /** The expression as a tree. */
  readonly expression: PermissionData;
}

/** A permission expression as data. */
export type PermissionData =
  | { readonly kind: 'permission'; readonly name: string; readonly asks: readonly string[]; readonly options?: unknown }
  | { readonly kind: 'all' | 'any'; readonly operands: readonly PermissionData[] }
  | { readonly kind: 'not'; readonly operand: PermissionData };
