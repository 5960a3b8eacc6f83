import type { JsonSchema } from '../kwargs/json-schema.js';
import type {
  ActionDescription,
  ApplicationDescription,
  ObserverDescription,
  RouteDescription,
  StreamDescription,
} from '../server/description.js';
import { loadApplication } from './application.js';
import type { AddCommand } from './command.js';

const DESCRIPTION =
  'Prints everything that the built application offers to clients: paths, streams, actions with their kwargs and ' +
  'permissions, and observers. The application is not started, and its database is not opened.';

/** `signalbox routes`: lists what clients may call. */
export const routes: AddCommand = (program, terminal) => {
  program
    .command('routes')
    .summary('print paths, streams, actions and observers')
    .description(DESCRIPTION)
    .option('--json', 'print the whole description as JSON')
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const description = (await loadApplication(terminal)).describe();
      terminal.out(json ? `${JSON.stringify(description, null, 2)}\n` : textOf(description));
    });
};

function textOf({ routes, schemas }: ApplicationDescription): string {
  return routes.map((route) => routeText(route, schemas)).join('\n');
}

type Schemas = ApplicationDescription['schemas'];

function routeText({ path, middleware, checks, streams }: RouteDescription, schemas: Schemas): string {
  const checked = Object.entries(checks).map(([source, schema]) => `  ${source}: ${shapeOf(schema, schemas)}\n`);
  const through = middleware.length > 0 ? `  middleware: ${middleware.join(', ')}\n` : '';
  return `${path}\n${through}${checked.join('')}${streams.map((stream) => streamText(stream, schemas)).join('')}`;
}

function streamText(stream: StreamDescription, schemas: Schemas): string {
  const { stream: name, consumer, model, permissions, actions, observers, groups, messages, takesBinary } = stream;
  const facts = [
    `${name === null ? '' : `${name}: `}${consumer}${model === null ? '' : ` of ${model}`}`,
    ...(permissions.text === 'all()' ? [] : [`permissions: ${permissions.text}`]),
    ...(groups.length > 0 ? [`groups: ${groups.join(', ')}`] : []),
    ...(messages.length > 0 ? [`messages: ${messages.join(', ')}`] : []),
    ...(takesBinary ? ['takes binary frames'] : []),
  ];
  const tables = [
    table(
      ['action', 'kwargs', 'does', 'runs', 'permissions', 'follows'],
      actions.map((action) => actionRow(action, stream, schemas)),
    ),
    rowsText(actions),
    table(['observer', 'of', 'groups', 'followed by'], observers.map(observerRow)),
  ];
  return `\n  ${facts.join('   ')}\n${tables.join('')}`;
}

function actionRow(action: ActionDescription, { permissions }: StreamDescription, schemas: Schemas): readonly string[] {
  const { name, aliases, kwargs, effect, permissions: own, subscribesTo } = action;
  return [
    [name, ...aliases].join(', '),
    Object.keys(kwargs.properties ?? {}).length > 0 || !kwargs.properties ? fieldsOf(kwargs, schemas) : '',
    effect ?? '',
    runsOf(action),
    own.text === permissions.text ? '' : own.text,
    subscribesTo.join(', '),
  ];
}

const howOften = { never: 'no entities', sometimes: 'entities at times', always: 'entities' } as const;

/** One line for all actions that read rows in the same way. */
function rowsText(actions: readonly ActionDescription[]): string {
  const names = new Map<string, string[]>();
  for (const { name, rows } of actions) {
    if (!rows) continue;
    const because = rows.because.length > 0 ? `, because of ${rows.because.join('; ')}` : '';
    const text = `${howOften[rows.entities]}${because}`;
    names.set(text, [...(names.get(text) ?? []), name]);
  }
  const lines = [...names].map(([text, alike]) => `    ${alike.join(', ')}: ${text}\n`);
  return lines.length > 0 ? `\n${lines.join('')}` : '';
}

function runsOf({ isAtomic, isDetached, sendsParts, isStrict }: ActionDescription): string {
  const words = [
    isAtomic && 'in a transaction',
    isDetached && 'detached',
    sendsParts && 'in parts',
    isStrict && 'strict',
  ];
  return words.filter(Boolean).join(', ');
}

function observerRow({
  member,
  model,
  signal,
  groups,
  subscribedBy,
  isLatest,
}: ObserverDescription): readonly string[] {
  const of = model ?? `signal ${signal}`;
  const named = groups ? `${groups.ofRow}, ${groups.ofConsumer}` : 'one for all';
  return [member, isLatest ? `${of}, latest` : of, named, subscribedBy.join(', ')];
}

/** Rows below headings, with columns as wide as their widest text. Columns without text are left out. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const used = headings.flatMap((_, at) => (rows.some((row) => row[at]) ? [at] : []));
  const widths = used.map((at) => Math.max(...[headings, ...rows].map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `    ${used
      .map((at, column) => (row[at] ?? '').padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd()}\n`;
  return `\n${line(headings.map((heading) => heading.toUpperCase()))}${rows.map(line).join('')}`;
}

/** The fields of a schema: `pk: integer, data: {name, archived?}`. */
function fieldsOf(schema: JsonSchema, schemas: Schemas): string {
  const { properties, required = [] } = resolved(schema, schemas);
  if (!properties) return shapeOf(schema, schemas);
  return Object.entries(properties)
    .map(([name, one]) => `${name}${required.includes(name) ? '' : '?'}: ${shapeOf(one, schemas)}`)
    .join(', ');
}

function shapeOf(schema: JsonSchema, schemas: Schemas): string {
  const { type, properties, required = [], items, enum: values, anyOf } = resolved(schema, schemas);
  if (values) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (anyOf) return anyOf.map((one) => shapeOf(one, schemas)).join(' | ');
  if (properties)
    return `{${Object.keys(properties)
      .map((name) => `${name}${required.includes(name) ? '' : '?'}`)
      .join(', ')}}`;
  if (items) return `${shapeOf(items, schemas)}[]`;
  return [type ?? 'any'].flat().join(' | ');
}

function resolved(schema: JsonSchema, schemas: Schemas): JsonSchema {
  const name = schema.$ref?.replace('#/schemas/', '');
  return (name !== undefined && schemas[name]) || schema;
}
