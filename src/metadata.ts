/** A class, including abstract ones. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts constructors of every parameter list
export type Class<T = object> = abstract new (...args: any[]) => T;

/** A class that can be instantiated. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts constructors of every parameter list
export type ConcreteClass<T = object> = new (...args: any[]) => T;

/** The keys of this copy's metadata. */
const noteKeys = new Set<symbol>();

/**
 * Metadata of one kind that decorators write on members. It lives on the prototype that declares the member, never in a global table, so
 * that a class carries its own metadata and a spec has nothing to reset.
 */
export class MemberMetadata<T> {
  readonly #key: symbol;

  constructor(name: string) {
    this.#key = Symbol(`signalbox:${name}`);
    noteKeys.add(this.#key);
  }

  write(prototype: object, member: string, note: T): void {
    const notes = this.#own(prototype) ?? new Map<string, T>();
    notes.set(member, note);
    Object.defineProperty(prototype, this.#key, { value: notes, configurable: true });
  }

  /** The metadata of a class and of the classes it extends; the most derived class has precedence. */
  read(owner: Class): ReadonlyMap<string, T> {
    const notes = new Map<string, T>();
    for (const prototype of prototypesOf(owner)) {
      for (const [member, note] of this.#own(prototype) ?? []) notes.set(member, note);
    }
    return notes;
  }

  /** Whether the class itself has metadata on the member. */
  isOn(owner: Class, member: string): boolean {
    return this.#own(owner.prototype)?.has(member) ?? false;
  }

  #own(prototype: object): Map<string, T> | undefined {
    return Object.hasOwn(prototype, this.#key) ? Reflect.get(prototype, this.#key) : undefined;
  }
}

/** Metadata of one kind that decorators write on classes. */
export class ClassMetadata<T> {
  readonly #notes: MemberMetadata<T>;

  constructor(name: string) {
    this.#notes = new MemberMetadata(name);
  }

  write(owner: Class, note: T): void {
    this.#notes.write(owner.prototype, 'constructor', note);
  }

  /** The metadata of the class, or of the nearest class that it extends. */
  find(owner: Class): T | undefined {
    return this.#notes.read(owner).get('constructor');
  }

  /** Whether the class itself has the metadata. */
  isOn(owner: Class): boolean {
    return this.#notes.isOn(owner, 'constructor');
  }
}

/** Whether decorators of another copy of the framework wrote metadata on a class or on one that it extends: this copy does not find it. */
export function bearsForeignNotes(owner: Class): boolean {
  return prototypesOf(owner).some((prototype) =>
    Object.getOwnPropertySymbols(prototype).some(
      (key) =>
        !noteKeys.has(key) &&
        key.description?.startsWith('signalbox:') &&
        Object.getOwnPropertyDescriptor(prototype, key)?.value instanceof Map,
    ),
  );
}

function prototypesOf(owner: Class): object[] {
  const chain: object[] = [];
  for (
    let prototype = owner.prototype;
    prototype && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    chain.unshift(prototype);
  }
  return chain;
}
