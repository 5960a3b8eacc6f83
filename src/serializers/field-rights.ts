import { ConfigurationError } from '../errors.js';
import type { GivenRights, RightsProvider } from '../permissions/permission.js';
import type { ActionContext } from '../scope/action-context.js';
import { isSerializerClass, type SerializerClass, type SerializerContext } from './serializer.js';

/** The option `rights` of a model serializer. */
export interface FieldRights {
  /** The provider that returns the rights of a request. */
  readonly by: RightsProvider;
  /** For each restricted field, the right or the rights of which one is needed to see it. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

interface DeclaredOptions {
  readonly rights?: FieldRights;
  readonly nested?: Readonly<Record<string, unknown>>;
}

type NamesByProvider = ReadonlyMap<RightsProvider, ReadonlySet<string>>;

/** The most JSON texts of one event; more are taken for a mistake in the declaration. */
const mostTexts = 16;

const knownNames = new WeakMap<SerializerClass, NamesByProvider>();
const answers = new WeakMap<ActionContext, Map<RightsProvider, Promise<string | undefined>>>();

/** The providers whose rights a serializer and its nested ones use, and for each the names of rights that show a field. */
export function rightsIn(serializer: SerializerClass): NamesByProvider {
  const known = knownNames.get(serializer);
  if (known) return known;
  const names = new Map<RightsProvider, Set<string>>();
  collect(serializer, names, new Set());
  knownNames.set(serializer, names);
  return names;
}

/** A request's rights for a serializer. Providers whose rights are given already are not called again. */
export async function askRights(
  serializer: SerializerClass,
  { rights, request, resolve }: Pick<SerializerContext, 'rights' | 'request' | 'resolve'>,
): Promise<GivenRights> {
  const given = new Map(rights);
  for (const provider of rightsIn(serializer).keys()) {
    if (request && !given.has(provider)) given.set(provider, await answerOf(provider, request, resolve));
  }
  return given;
}

/** All combinations of rights for which a serializer shows different fields, the fewest rights first. */
export function everyRights(serializer: SerializerClass): readonly GivenRights[] {
  let combinations: Map<RightsProvider, string | undefined>[] = [new Map()];
  for (const [provider, names] of rightsIn(serializer)) {
    combinations = [undefined, ...names].flatMap((name) =>
      combinations.map((given) => new Map([...given, [provider, name]])),
    );
  }
  return combinations;
}

/** A key of these rights, equal in every process. Rights that show no further field have the key of the fewest rights. */
export function rightsKey(serializer: SerializerClass, given: GivenRights | undefined): string {
  const asked = rightsIn(serializer);
  if (asked.size === 0) return '[]';
  const names = [...asked].map(([provider, known]) => {
    const name = given?.get(provider);
    return name !== undefined && known.has(name) ? name : null;
  });
  return JSON.stringify(names);
}

/** Whether a client with these rights sees a field and may send it. */
export function isWithin(
  { rights }: { readonly rights?: FieldRights },
  field: string,
  given: GivenRights | undefined,
): boolean {
  if (!rights || !Object.hasOwn(rights.fields, field)) return true;
  const name = given?.get(rights.by);
  return name !== undefined && namesOf(rights, field).includes(name);
}

/** @throws ConfigurationError for a serializer of events that would make too many texts of each event */
export function checkRights(serializer: SerializerClass): void {
  const count = [...rightsIn(serializer).values()].reduce((product, names) => product * (names.size + 1), 1);
  if (count <= mostTexts) return;
  throw new ConfigurationError({
    class: serializer.name,
    member: 'rights',
    reason: `would show each event in ${count} ways, more than ${mostTexts}: one for every combination of rights.`,
    remedy: 'Let one provider decide the rights, with fewer names.',
  });
}

function namesOf({ fields }: FieldRights, field: string): readonly string[] {
  return [fields[field] ?? []].flat();
}

function collect(serializer: SerializerClass, names: Map<RightsProvider, Set<string>>, seen: Set<unknown>): void {
  if (seen.has(serializer)) return;
  seen.add(serializer);
  const { rights, nested = {} } = (Reflect.get(serializer, 'options') ?? {}) as DeclaredOptions;
  if (rights) {
    const known = names.get(rights.by) ?? new Set();
    names.set(rights.by, known);
    for (const field of Object.keys(rights.fields)) for (const name of namesOf(rights, field)) known.add(name);
  }
  for (const inner of Object.values(nested).filter(isSerializerClass)) collect(inner, names, seen);
}

/** Calls the provider once per request, however many rows and serializers need its answer. */
function answerOf(
  provider: RightsProvider,
  request: ActionContext,
  resolve: SerializerContext['resolve'],
): Promise<string | undefined> {
  const known = answers.get(request) ?? new Map<RightsProvider, Promise<string | undefined>>();
  answers.set(request, known);
  const answer = known.get(provider) ?? ask(provider, request, resolve);
  known.set(provider, answer);
  return answer;
}

async function ask(
  provider: RightsProvider,
  request: ActionContext,
  resolve: SerializerContext['resolve'],
): Promise<string | undefined> {
  return (await resolve(provider).rightsOf(request)) ?? undefined;
}
