import { type ActionDefinition, replyShapes } from '../dispatch/actions.js';
import { defaultFiltersOf } from '../orm/model-queries.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { CursorPaginator } from '../paginators/cursor-paginator.js';
import { everyRights } from '../serializers/field-rights.js';
import { needsEntity, type Outline, outlineRows } from '../serializers/model-plan.js';
import type { CompiledConsumer } from './compiled-consumer.js';
import { modelOf, overrides, settingsOf } from './model-consumer.js';
import { isPlainList } from './model-list.js';
import { isPlainRetrieve } from './model-mixins.js';

/** Whether an action that reads rows makes entities of them. */
export interface RowsDescription {
  /** `sometimes`: it depends on the request. */
  readonly entities: 'never' | 'sometimes' | 'always';
  /** What takes them, to be read after "because of": `the computed field RoomSerializer.age, which does not declare what it reads`. */
  readonly because: readonly string[];
}

type ConsumerType = CompiledConsumer['consumer'];

/** What takes entities, for every request or for some. */
interface Cause {
  readonly isAlways: boolean;
  readonly text: string;
}

/**
 * How `list` and `retrieve` read rows: what is decided at each request, as far as it is seen without one. A permission's question that is
 * a field is not seen, and neither are default filters that were added to an entity manager. Null for other actions.
 */
export function describeRows(
  { consumer, model }: CompiledConsumer,
  action: ActionDefinition,
  unitOfWork: UnitOfWork,
): RowsDescription | null {
  const { member } = action;
  if (!model || !replyShapes.read(consumer).has(member)) return null;
  if (member !== 'list' && member !== 'retrieve') return null;
  const own = member === 'list' ? causesOfList(consumer) : causesOfRetrieve(consumer, action);
  const causes = [...own, ...causesOfRows(consumer, member, unitOfWork.of(model))];
  const isAlways = causes.some((cause) => cause.isAlways);
  return {
    entities: isAlways ? 'always' : causes.length > 0 ? 'sometimes' : 'never',
    because: [...new Set(causes.filter((cause) => cause.isAlways === isAlways).map(({ text }) => text))],
  };
}

function always(text: string): Cause {
  return { isAlways: true, text };
}

function sometimes(text: string): Cause {
  return { isAlways: false, text };
}

/** The causes that are members of the model consumer, or of a mixin, which the application has overridden. */
function ownMembers(consumer: ConsumerType, ...members: readonly string[]): readonly Cause[] {
  return members.map((member) => always(`${consumer.name}.${member}, which is its own`));
}

function causesOfList(consumer: ConsumerType): readonly Cause[] {
  return isPlainList(Reflect.get(consumer.prototype, 'list')) ? [] : ownMembers(consumer, 'list');
}

function causesOfRetrieve(consumer: ConsumerType, { reply, permissions }: ActionDefinition): readonly Cause[] {
  const looking = permissions.providers.filter(({ prototype }) => 'hasObjectPermission' in prototype);
  return [
    ...(isPlainRetrieve(Reflect.get(consumer.prototype, 'retrieve')) ? [] : ownMembers(consumer, 'retrieve')),
    ...(reply ? [always(`${reply.name}, which the action declares as its reply`)] : []),
    ...(overrides(consumer, 'getObject') ? ownMembers(consumer, 'getObject') : []),
    ...looking.map(({ name }) => always(`the permission ${name}, which looks at the object`)),
  ];
}

function causesOfRows(consumer: ConsumerType, member: 'list' | 'retrieve', unitOfWork: UnitOfWork): readonly Cause[] {
  if (overrides(consumer, 'getSerializerContext')) return ownMembers(consumer, 'getSerializerContext');
  if (overrides(consumer, 'getSerializer'))
    return [sometimes(`${consumer.name}.getSerializer, which may give a serializer that needs them`)];
  const { serializer } = settingsOf(consumer.prototype);
  const { em } = unitOfWork;
  const causes = everyRights(serializer).map((rights) => {
    const outline = outlineRows(serializer, unitOfWork, { em, schema: undefined }, rights);
    if (needsEntity(outline)) return [always(outline.because)];
    const ofOrder = member === 'list' ? causesOfOrder(consumer, outline) : [];
    return [...causesOfModels(consumer, outline, unitOfWork), ...ofOrder];
  });
  const isForAll = causes.every((each) => each.some(({ isAlways }) => isAlways));
  return causes.flat().map(({ isAlways, text }) => ({ isAlways: isAlways && isForAll, text }));
}

function causesOfModels(consumer: ConsumerType, outline: Outline, { em }: UnitOfWork): readonly Cause[] {
  const { serializer } = settingsOf(consumer.prototype);
  const { meta } = outline.level;
  if (meta.class !== modelOf(consumer.prototype)) return [always(`${serializer.name}, which shows ${meta.className}`)];
  return outline.related.flatMap((related) =>
    defaultFiltersOf(em, related).map((name) => always(`the default filter "${name}" of ${related.className}`)),
  );
}

/** A cursor says where a row stands in the order. */
function causesOfOrder(consumer: ConsumerType, { level }: Outline): readonly Cause[] {
  const { serializer, filters, paginator } = settingsOf(consumer.prototype);
  const hasCursors = paginator === CursorPaginator || paginator?.prototype instanceof CursorPaginator;
  if (!hasCursors) return [];
  const shown = new Set(level.fields.flatMap(({ name, column }) => (column ? name : [])));
  const notShown = (names: readonly string[]): readonly string[] =>
    names
      .filter((name) => !shown.has(name))
      .map((name) => `the order by "${name}", which ${serializer.name} does not show`);
  return [
    ...notShown(level.meta.primaryKeys).map(always),
    ...notShown(filters?.ordering ?? []).map(sometimes),
    ...(overrides(consumer, 'getOrder')
      ? [sometimes(`${consumer.name}.getOrder, which may order by what ${serializer.name} does not show`)]
      : []),
  ];
}
