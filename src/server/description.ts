import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { type ConsumerShapes, shapesOf } from '../consumers/model-shapes.js';
import { replyShapes } from '../dispatch/action-declaration.js';
import type { ActionDefinition } from '../dispatch/actions.js';
import { describeKwargs, viewSchema } from '../kwargs/described-kwargs.js';
import { type JsonSchema, objectSchema, Schemas } from '../kwargs/json-schema.js';
import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { Class } from '../metadata.js';
import type { Observer } from '../observers/observer.js';
import { consumerGroupDeclarations, signalGroupDeclarations } from '../observers/observer-declaration.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { describePermission, type PermissionClass, type PermissionExpression } from '../permissions/permission.js';
import type { ParameterSource } from '../scope/route-parameters.js';
import { type SchemaParts, shownKey, shownSchema } from '../serializers/model-schemas.js';
import { fieldsOfSerializer } from '../serializers/model-serializer.js';
import { isSerializerClass, type SerializerClass } from '../serializers/serializer.js';
import { toWireName } from '../wire/names.js';
import type { CompiledRoute } from './router.js';

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
  readonly checks: { readonly [Source in ParameterSource]?: JsonSchema };
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
  readonly kind: 'column' | 'one' | 'many' | 'computed';
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

/** Routes -> plain data. Nothing is asked of the database. */
export function describeRoutes(routes: readonly CompiledRoute[], unitOfWork: UnitOfWork): ApplicationDescription {
  const parts: DescriptionParts = { schemas: new Schemas(), unitOfWork, serializers: new Set() };
  const described = routes.map((route) => describeRoute(route, parts));
  return {
    routes: described,
    serializers: [...parts.serializers].map((serializer) => describeSerializer(serializer, unitOfWork)),
    schemas: parts.schemas.toJSON(),
  };
}

interface DescriptionParts extends SchemaParts {
  /** Those that were met. */
  readonly serializers: Set<SerializerClass>;
}

function describeRoute(
  { path, middleware, schemas, consumers }: CompiledRoute,
  parts: DescriptionParts,
): RouteDescription {
  const streams: (readonly [string | null, CompiledConsumer])[] =
    consumers instanceof Map ? [...consumers] : [[null, consumers as CompiledConsumer]];
  const checks = Object.entries(schemas).filter(([source]) => source !== 'middleware');
  return {
    path,
    parameters: [...path.matchAll(/:([^()/]+)(?:\(([^()]*)\))?/g)].map(([, name = '', kind = 'text']) => ({
      name,
      kind: kind as 'text' | 'int' | 'uuid',
    })),
    checks: Object.fromEntries(
      checks.map(([source, schema]) => [
        source,
        kwargsOf(schema as KwargsSchema, undefined, parts, `${path}.${source}`),
      ]),
    ),
    middleware: middleware.map(({ name }) => name),
    isMultiplexed: consumers instanceof Map,
    streams: streams.map(([stream, compiled]) => describeStream(stream, compiled, parts)),
  };
}

function describeStream(stream: string | null, compiled: CompiledConsumer, parts: DescriptionParts): StreamDescription {
  const { consumer, actions, observers, permission, options, groups, messages } = compiled;
  const shapes = shapesOf(consumer, parts);
  note(Reflect.get(consumer, 'serializer'), parts);
  const described = [...new Set(actions.values())].map((action) => describeAction(action, compiled, shapes, parts));
  return {
    stream,
    consumer: consumer.name,
    model: shapes?.model ?? null,
    serializer: shapes?.serializer ?? null,
    paginator: shapes?.paginator ?? null,
    permissions: describePermissions(permission),
    actions: described,
    observers: [...observers.values()].map((observer) => describeObserver(observer, described, parts)),
    groups,
    messages: [...messages.keys()],
    takesBinary: options.binary ?? false,
    subprotocols: options.subprotocols ?? [],
  };
}

function describeAction(
  action: ActionDefinition,
  { consumer, observers }: CompiledConsumer,
  shapes: ConsumerShapes | undefined,
  parts: DescriptionParts,
): ActionDescription {
  const { name, member, isDetail, status, atomic, detached, strict, timeLimit, permissions } = action;
  const method: unknown = Reflect.get(consumer.prototype, member);
  const derived = toWireName(member);
  return {
    name,
    aliases: derived === name ? [] : [derived],
    member,
    isDetail,
    kwargs: describeActionKwargs(action, consumer, shapes, parts),
    reply: replyOf(action, consumer, shapes, parts) ?? null,
    status,
    sendsParts: isGenerator(method),
    isAtomic: atomic,
    isDetached: detached,
    isStrict: strict,
    timeLimit,
    permissions: describePermissions(permissions.expression),
    subscribesTo: subscribesTo(method, [...observers.keys()]),
  };
}

/** A detail action takes what names the row as well. */
function describeActionKwargs(
  { kwargs, isDetail, member }: ActionDefinition,
  consumer: Class,
  shapes: ConsumerShapes | undefined,
  parts: DescriptionParts,
): JsonSchema {
  const own = kwargs ? kwargsOf(kwargs, shapes, parts, `${consumer.name}.${member}`) : objectSchema({});
  if (!isDetail || !shapes) return own;
  const lookup = { [shapes.lookup.kwarg]: shapes.lookup.schema };
  if (!own.properties) return { allOf: [objectSchema(lookup), own] };
  return {
    ...own,
    ...objectSchema({ ...lookup, ...own.properties }, [...Object.keys(lookup), ...(own.required ?? [])]),
  };
}

function kwargsOf(
  kwargs: KwargsSchema,
  model: ConsumerShapes | undefined,
  { schemas }: DescriptionParts,
  name: string,
): JsonSchema {
  return describeKwargs(kwargs, { schemas, model }, name);
}

/** What is declared; of the mixins' actions, what they do. */
function replyOf(
  { reply, member }: ActionDefinition,
  consumer: Class,
  shapes: ConsumerShapes | undefined,
  parts: DescriptionParts,
): JsonSchema | undefined {
  if (reply) {
    note(reply, parts);
    const one = isSerializerClass(reply)
      ? shownSchema(reply, parts)
      : parts.schemas.refer(reply, '', () => viewSchema(reply, parts.schemas));
    return { anyOf: [one, { type: 'array', items: one }] };
  }
  const shape = replyShapes.read(consumer).get(member);
  if (shape === 'nothing') return { type: 'null' };
  return shape && shapes?.[shape];
}

function describeObserver(
  { member, model, signal, serializer, body, revocations, latest, consumer }: Observer,
  actions: readonly ActionDescription[],
  parts: DescriptionParts,
): ObserverDescription {
  note(serializer, parts);
  const ofRow = memberOf(signalGroupDeclarations.read(consumer), member);
  const ofConsumer = memberOf(consumerGroupDeclarations.read(consumer), member);
  const key = model ? objectSchema({ pk: shownKey(model, parts) }) : null;
  return {
    member,
    model: model?.name ?? null,
    signal: signal?.name ?? null,
    serializer: serializer?.name ?? null,
    actions: signal ? [signal.name] : ['create', 'update', 'delete'],
    data: serializer ? shownSchema(serializer, parts) : body || signal ? null : key,
    deleted: key,
    groups: ofRow !== undefined && ofConsumer !== undefined ? { ofRow, ofConsumer } : null,
    revokedBy: revocations.map((revocation) => revocation.model?.name ?? 'signal'),
    subscribedBy: actions.filter(({ subscribesTo }) => subscribesTo.includes(member)).map(({ name }) => name),
    isLatest: latest,
  };
}

function describeSerializer(serializer: SerializerClass, unitOfWork: UnitOfWork): SerializerDescription {
  const { entity, options } = serializer as unknown as {
    readonly entity: Class;
    readonly options: { readonly rights?: { readonly by: Class; readonly fields: Record<string, string | string[]> } };
  };
  const { rights } = options;
  const fields = fieldsOfSerializer(serializer, unitOfWork) ?? [];
  return {
    name: serializer.name,
    entity: entity.name,
    fields: fields.map(({ name, kind, isShown, isAccepted, isRequired, isNullable, nested }) => ({
      name,
      kind,
      isShown,
      isAccepted,
      isRequired,
      isNullable,
      nested: nested?.name ?? null,
      rights:
        rights && Object.hasOwn(rights.fields, name)
          ? { by: rights.by.name, names: [rights.fields[name] ?? []].flat() }
          : null,
    })),
  };
}

export function describePermissions(expression: PermissionExpression): PermissionDescription {
  const simplest = simplified(expression);
  return { text: describePermission(simplest), expression: permissionData(simplest) };
}

/** `all(all(A), B)` -> `all(A, B)`; what consists of one is that one. */
function simplified(expression: PermissionExpression): PermissionExpression {
  if (typeof expression === 'function' || expression.kind === 'with') return expression;
  if (expression.kind === 'not') return { kind: 'not', operand: simplified(expression.operand) };
  const { kind } = expression;
  const operands = expression.operands.map(simplified).flatMap((operand) => {
    return typeof operand !== 'function' && operand.kind === kind ? operand.operands : operand;
  });
  const [only] = operands;
  return operands.length === 1 && only ? only : { kind, operands };
}

function permissionData(expression: PermissionExpression): PermissionData {
  if (typeof expression === 'function') return onePermission(expression);
  if (expression.kind === 'with')
    return { ...onePermission(expression.permission), options: plain(expression.options) };
  if (expression.kind === 'not') return { kind: 'not', operand: permissionData(expression.operand) };
  return { kind: expression.kind, operands: expression.operands.map(permissionData) };
}

const questions = ['canConnect', 'hasPermission', 'hasObjectPermission', 'canReceive'] as const;

/** A question that is a field, and no method, is not seen without an instance. */
function onePermission({ name, prototype }: PermissionClass): PermissionData & { readonly kind: 'permission' } {
  return { kind: 'permission', name, asks: questions.filter((question) => question in prototype) };
}

/** Options are the application's own: whatever JSON cannot show is told by its type. */
function plain(options: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(options) ?? 'null') as unknown;
  } catch {
    return typeof options;
  }
}

/** A model serializer, and those that are nested in it. */
function note(serializer: unknown, parts: DescriptionParts): void {
  if (!isSerializerClass(serializer) || parts.serializers.has(serializer)) return;
  const fields = fieldsOfSerializer(serializer, parts.unitOfWork);
  if (!fields) return;
  parts.serializers.add(serializer);
  for (const { nested } of fields) note(nested, parts);
}

function memberOf(declared: ReadonlyMap<string, string>, observer: string): string | undefined {
  return [...declared].find(([, named]) => named === observer)?.[0];
}

function subscribesTo(method: unknown, observers: readonly string[]): readonly string[] {
  const source = Function.prototype.toString.call(method);
  return observers.filter((observer) => new RegExp(`\\.subscribe\\(\\s*this\\.${observer}\\b`).test(source));
}

const generators = [function* () {}, async function* () {}].map((sample) => Object.getPrototypeOf(sample).constructor);

function isGenerator(method: unknown): boolean {
  return generators.some((Generator) => method instanceof Generator);
}
