import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { settingsOf } from '../consumers/model-consumer.js';
import { describeRows } from '../consumers/model-rows.js';
import { type ConsumerShapes, shapesOf } from '../consumers/model-shapes.js';
import { type ActionDefinition, replyShapes } from '../dispatch/actions.js';
import { describeKwargs, viewSchema } from '../kwargs/described-kwargs.js';
import { type JsonSchema, objectSchema, Schemas } from '../kwargs/json-schema.js';
import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { Class } from '../metadata.js';
import type { Observer } from '../observers/observer.js';
import { consumerGroupDeclarations, signalGroupDeclarations } from '../observers/observer-declaration.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { describePermission, type PermissionClass, type PermissionExpression } from '../permissions/permission.js';
import { type SchemaParts, shownKey, shownSchema } from '../serializers/model-schemas.js';
import { type DeclaredSerializer, declaredBy, fieldsOfSerializer } from '../serializers/model-serializer.js';
import { isSerializerClass } from '../serializers/serializer.js';
import { toWireName } from '../wire/messages.js';
import type {
  ActionDescription,
  ApplicationDescription,
  ObserverDescription,
  PermissionData,
  PermissionDescription,
  RouteDescription,
  SerializerDescription,
  StreamDescription,
} from './description.js';
import type { CompiledRoute } from './router.js';

/** Describes routes as plain data, without using the database. */
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
  /** The serializers that were found. */
  readonly serializers: Set<DeclaredSerializer>;
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
  const { consumer, actions, observers, permissions, options, groups, messages } = compiled;
  const shapes = shapesOf(consumer, parts);
  if (compiled.model) note(settingsOf(consumer.prototype).serializer, parts);
  const described = [...new Set(actions.values())].map((action) => describeAction(action, compiled, shapes, parts));
  return {
    stream,
    consumer: consumer.name,
    model: shapes?.model ?? null,
    serializer: shapes?.serializer ?? null,
    paginator: shapes?.paginator ?? null,
    permissions: describePermissions(permissions.expression),
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
  compiled: CompiledConsumer,
  shapes: ConsumerShapes | undefined,
  parts: DescriptionParts,
): ActionDescription {
  const { consumer, observers } = compiled;
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
    effect: effectOf(consumer, member, atomic),
    rows: describeRows(compiled, action, parts.unitOfWork),
    isDetached: detached,
    isStrict: strict,
    timeLimit,
    permissions: describePermissions(permissions.expression),
    subscribesTo: subscribesTo(method, [...observers.keys()]),
  };
}

/** A detail action also takes the kwarg that names the row. */
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

/** The declared reply; for the mixins' actions, the reply that they define. */
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
  if (shape === 'kind') return objectSchema({ action: { enum: ['create', 'update', 'delete'] } });
  return shape && shapes?.[shape];
}

function describeObserver(
  { member, model, signal, serializer, body, revocations, latest, consumer, only }: Observer,
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
    actions: signal ? [signal.name] : only ? [only] : ['create', 'update', 'delete'],
    data: serializer ? shownSchema(serializer, parts) : body || signal ? null : key,
    deleted: key,
    groups: ofRow !== undefined && ofConsumer !== undefined ? { ofRow, ofConsumer } : null,
    revokedBy: revocations.map((revocation) => revocation.model?.name ?? 'signal'),
    subscribedBy: actions.filter(({ subscribesTo }) => subscribesTo.includes(member)).map(({ name }) => name),
    isLatest: latest,
  };
}

function describeSerializer(serializer: DeclaredSerializer, unitOfWork: UnitOfWork): SerializerDescription {
  const { rights } = serializer.options;
  const fields = fieldsOfSerializer(serializer, unitOfWork) ?? [];
  return {
    name: serializer.name,
    entity: serializer.entity.name,
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

/** Simplifies an expression: `all(all(A), B)` is `all(A, B)`, and an expression of one operand is that operand. */
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

/** A permission without an instance: a question that is a field instead of a method is not found. */
function onePermission({ name, prototype }: PermissionClass): PermissionData & { readonly kind: 'permission' } {
  return { kind: 'permission', name, asks: questions.filter((question) => question in prototype) };
}

/** Options belong to the application: a value that JSON cannot show becomes the name of its type. */
function plain(options: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(options) ?? 'null') as unknown;
  } catch {
    return typeof options;
  }
}

/** Notes a model serializer, and those that are nested in it. */
function note(serializer: unknown, parts: DescriptionParts): void {
  const declared = isSerializerClass(serializer) ? declaredBy(serializer) : undefined;
  if (!declared || parts.serializers.has(declared)) return;
  const fields = fieldsOfSerializer(declared, parts.unitOfWork) ?? [];
  parts.serializers.add(declared);
  for (const { nested } of fields) note(nested, parts);
}

function memberOf(declared: ReadonlyMap<string, string>, observer: string): string | undefined {
  return [...declared].find(([, named]) => named === observer)?.[0];
}

/** Calls that every write needs, and calls that only read: queries and subscriptions. */
const writing = /\.(flush|transactional|begin|native\w+|insert\w*|upsert\w*|announc\w+)\(/;
const harmless = /^((un)?subscribe|em\.(find\w*|count|getReference))$/;

function effectOf(consumer: Class, member: string, isAtomic: boolean): 'reads' | 'writes' | null {
  if (isAtomic) return 'writes';
  // The mixins that write are atomic.
  if (replyShapes.read(consumer).has(member)) return 'reads';
  const source = Function.prototype.toString.call(Reflect.get(consumer.prototype, member));
  if (writing.test(source)) return 'writes';
  const calls = [...source.matchAll(/\bthis\.([\w.#]+)\(/g)].map(([, called = '']) => called);
  return calls.every((called) => harmless.test(called)) ? 'reads' : null;
}

function subscribesTo(method: unknown, observers: readonly string[]): readonly string[] {
  const source = Function.prototype.toString.call(method);
  return observers.filter((observer) => new RegExp(`\\.subscribe\\(\\s*this\\.${observer}\\b`).test(source));
}

const generators = [function* () {}, async function* () {}].map((sample) => Object.getPrototypeOf(sample).constructor);

function isGenerator(method: unknown): boolean {
  return generators.some((Generator) => method instanceof Generator);
}
