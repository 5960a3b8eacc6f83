/**
 * The type of a value after JSON: dates and bigints are text; an object with `toJSON` is its result; a property that may be undefined is
 * optional; methods are missing; a set is a list, a map an object. Undefined is null. A string enum is the union of its values.
 */
export type Json<T> = unknown extends T
  ? T
  : T extends Date | bigint
    ? string
    : T extends string
      ? JsonText<T>
      : T extends number | boolean | null
        ? T
        : T extends undefined | void
          ? null
          : T extends { toJSON(): infer Shown }
            ? Json<Shown>
            : T extends Callable
              ? never
              : T extends ReadonlyMap<string | number | bigint, infer Value>
                ? { [key: string]: Json<Value> }
                : T extends ReadonlySet<infer Value>
                  ? Json<Value>[]
                  : T extends readonly unknown[]
                    ? { [Index in keyof T]: Json<T[Index]> }
                    : T extends object
                      ? JsonObject<T>
                      : T;

/**
 * The values of an enum, because a client does not have the enum. A branded text keeps its brand, which a template would make unreadable.
 */
type JsonText<T extends string> = T extends object ? T : `${T}`;

type Callable = (...parameters: never) => unknown;

/** One object type, instead of an intersection of required and optional properties. It keeps order and comments. */
type JsonObject<T> = { -readonly [Key in keyof T as Exclude<ShownKey<T, Key>, UndefinedKey<T>>]-?: Json<T[Key]> } & {
  -readonly [Key in keyof T as Extract<ShownKey<T, Key>, UndefinedKey<T>>]?: Json<Exclude<T[Key], undefined>>;
} extends infer Shown
  ? { [Key in keyof Shown]: Shown[Key] }
  : never;

type ShownKey<T, Key extends keyof T = keyof T> = {
  [Each in Key]-?: Exclude<T[Each], undefined> extends Callable ? never : Exclude<Each, symbol>;
}[Key];

type UndefinedKey<T> = {
  [Key in ShownKey<T>]: unknown extends T[Key] ? never : undefined extends T[Key] ? Key : never;
}[ShownKey<T>];
