import { ConfigurationError } from '../errors.js';
import { isUnloaded } from '../orm/model-entity.js';
import type { Groups } from './observer-declaration.js';

/** A method that yields the groups of a row, of a payload, or of the kwargs of a subscription. */
export interface GroupsMethod {
  readonly consumer: string;
  readonly member: string;
  readonly self: object;
  readonly method: (this: object, subject: unknown) => Groups;
}

/** Called with the reason why a name is no group. */
export type LeaveOut = (fault: ConfigurationError) => void;

/** What a template makes of a value that is missing, or has no text of its own. `null` and `NaN` are also the beginnings of words. */
export const valueless = /undefined|null(?![a-z])|NaN(?![A-Za-z])|\[object \w+\]/;

/** A value that a groups method read: of its subject, or of `this`. */
interface Read {
  /** `room.name` */
  readonly path: string;
  readonly value: unknown;
  /** Whether it is an object that was asked for its text. */
  readonly isConverted: boolean;
  /** The object that it is a property of. */
  readonly owner: object;
  readonly ownerPath: string;
}

/**
 * Why a name that shows a missing value, such as `room-undefined`, is no group: rows and subscriptions would miss each other in it, or meet by mistake.
 *
 * @returns undefined where the text is data: a client may well call its room "null"
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
    reason: `yields ${JSON.stringify(name)}, which is no group${reason}.`,
    remedy,
  });
}

/** What was read last is likeliest. Where nothing was undefined, `user?.id` of null is. */
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

/** What the method reads when it is called once more, as far as that can be watched. */
async function readsOf({ self, method }: GroupsMethod, subject: unknown): Promise<readonly Read[]> {
  const reads: Read[] = [];
  try {
    const groups = await method.call(watched(self, 'this', reads) as object, watched(subject, '', reads));
    for await (const group of groups) String(group);
  } catch {}
  return reads;
}

/** An object that notes what is read of it, and of the objects in it. Any other value is given back as it is. */
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
  // Private fields and the insides of Map and Date are found in the object itself only.
  const called = (found: Method, given: unknown[]): unknown => {
    try {
      return Reflect.apply(found, proxy, given);
    } catch {
      return Reflect.apply(found, owner, given);
    }
  };
  // Of an empty object, because a proxy of a frozen one may not show other values than it has.
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
