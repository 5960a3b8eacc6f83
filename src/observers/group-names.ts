import { ConfigurationError } from '../errors.js';
import { isUnloaded } from '../orm/model-entity.js';
import type { Groups } from './observer-declaration.js';

/** A method that yields the groups of a row, of a payload, or of a subscription's kwargs. */
export interface GroupsMethod {
  readonly consumer: string;
  readonly member: string;
  readonly self: object;
  readonly method: (this: object, subject: unknown) => Groups;
}

/** Called with the reason if a name is no group. */
export type LeaveOut = (fault: ConfigurationError) => void;

/**
 * What a template string makes of a missing value, or of a value without a text of its own. `null` and `NaN` may also begin ordinary words.
 */
export const valueless = /undefined|null(?![a-z])|NaN(?![A-Za-z])|\[object \w+\]/;

/** A value that a groups method read, from its subject or from `this`. */
interface Read {
  /** The path of the value, such as `room.name`. */
  readonly path: string;
  readonly value: unknown;
  /** Whether the value is an object that was converted to text. */
  readonly isConverted: boolean;
  /** The object whose property it is. */
  readonly owner: object;
  readonly ownerPath: string;
}

/**
 * Why a name that shows a missing value, such as `room-undefined`, is no group: rows and subscriptions would not meet in it, or meet by
 * mistake.
 *
 * @returns undefined if the text is data: a client may well name its room "null"
 */
export async function faultOf(
  groups: GroupsMethod,
  subject: unknown,
  name: string,
): Promise<ConfigurationError | undefined> {
  const [text = ''] = valueless.exec(name) ?? [];
  const reads = await readsOf(groups, subject);
  const data = [...reads.map(({ value }) => value), ...Object.values(subject ?? {})];
  if (data.some((value) => typeof value === 'string' && value.includes(text) && name.includes(value))) return undefined;
  const { reason, remedy } = causeOf(culpritAmong(reads, text));
  return new ConfigurationError({
    class: groups.consumer,
    member: groups.member,
    reason: `yields ${JSON.stringify(name)}, which cannot be a group${reason}.`,
    remedy,
  });
}

/** The read that most likely gave the missing value: the last one. If none gave undefined, it was `user?.id` of null. */
function culpritAmong(reads: readonly Read[], text: string): Read | undefined {
  if (text.startsWith('[')) return reads.findLast(({ isConverted }) => isConverted);
  const shown = reads.findLast(({ value }) => !isObject(value) && String(value) === text);
  return shown ?? (text === 'undefined' ? reads.findLast(({ value }) => value === null) : undefined);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function causeOf(read: Read | undefined): { readonly reason: string; readonly remedy: string } {
  if (!read)
    return { reason: '', remedy: 'Name groups by values that are there, and yield none where one is missing.' };
  const { path, value, owner, ownerPath } = read;
  if (isObject(value)) return { reason: `: ${path} is an object`, remedy: 'Name the group by a key of it.' };
  if (value === undefined && isUnloaded(owner)) {
    const remedy = `Name the group by the key of ${ownerPath}, or load it: await wrap(${ownerPath}).init().`;
    return { reason: `: ${path} is undefined, for ${ownerPath} is not loaded`, remedy };
  }
  return { reason: `: ${path} is ${value}`, remedy: 'Yield no group where it is missing.' };
}

/** Calls the method once more and notes what it reads, as far as a proxy can see that. */
async function readsOf({ self, method }: GroupsMethod, subject: unknown): Promise<readonly Read[]> {
  const reads: Read[] = [];
  try {
    const groups = await method.call(watched(self, 'this', reads) as object, watched(subject, '', reads));
    for await (const group of groups) String(group);
  } catch {}
  return reads;
}

/** An object that notes what is read from it and from the objects in it. Other values are returned unchanged. */
function watched(value: unknown, path: string, reads: Read[]): unknown {
  if (!isObject(value)) return value;
  const owner = value;
  const read = (key: string | symbol): unknown => {
    const found: unknown = Reflect.get(owner, key);
    if (key === Symbol.toPrimitive || key === 'toString')
      reads.push({ path: path || 'what it is given', value: owner, isConverted: true, owner, ownerPath: path });
    if (typeof key === 'symbol' || key === 'toString' || key === 'valueOf')
      return isMethod(found) ? found.bind(owner) : found;
    const inner = path === '' ? key : `${path}.${key}`;
    if (isMethod(found)) return (...given: unknown[]) => watched(called(found, given), `${inner}()`, reads);
    reads.push({ path: inner, value: found, isConverted: false, owner, ownerPath: path });
    return watched(found, inner, reads);
  };
  // Private fields and the internals of Map and Date exist only in the object itself.
  const called = (found: Method, given: unknown[]): unknown => {
    try {
      return Reflect.apply(found, proxy, given);
    } catch {
      return Reflect.apply(found, owner, given);
    }
  };
  // The proxy has an empty target, because a proxy of a frozen object may not show other values than that has.
  const proxy: object = new Proxy(
    {},
    {
      get: (_, key) => read(key),
      has: (_, key) => key in owner,
      ownKeys: () => Reflect.ownKeys(owner),
      getOwnPropertyDescriptor: (_, key) => {
        const own = Reflect.getOwnPropertyDescriptor(owner, key);
        return own && { configurable: true, enumerable: own.enumerable === true, value: read(key) };
      },
      getPrototypeOf: () => Reflect.getPrototypeOf(owner),
    },
  );
  return proxy;
}

type Method = (...given: unknown[]) => unknown;

function isMethod(value: unknown): value is Method {
  return typeof value === 'function';
}
