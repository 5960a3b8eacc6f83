/**
 * A value after it went through JSON: dates and bigints are text, what has a `toJSON` is what that gives, a property that
 * may be undefined may be missing, methods are gone. Nothing at all is null.
 */
export type Json<T> = unknown extends T
  ? T
  : T extends Date | bigint
    ? string
    : T extends string | number | boolean | null
      ? T
      : T extends undefined | void
        ? null
        : T extends { toJSON(): infer Shown }
          ? Json<Shown>
          : T extends Callable
            ? never
            : T extends readonly unknown[]
              ? { [Index in keyof T]: Json<T[Index]> }
              : T extends object
                ? JsonObject<T>
                : T;

type Callable = (...parameters: never) => unknown;

/** In one mapped type where nothing may be undefined, because that one is printed by its name. */
type JsonObject<T> = [UndefinedKey<T>] extends [never]
  ? { [Key in ShownKey<T>]: Json<T[Key]> }
  : Flat<
      { [Key in Exclude<ShownKey<T>, UndefinedKey<T>>]: Json<T[Key]> } & {
        [Key in Extract<ShownKey<T>, UndefinedKey<T>>]?: Json<Exclude<T[Key], undefined>>;
      }
    >;

type ShownKey<T> = {
  [Key in keyof T]-?: Exclude<T[Key], undefined> extends Callable ? never : Exclude<Key, symbol>;
}[keyof T];

type UndefinedKey<T> = {
  [Key in ShownKey<T>]: unknown extends T[Key] ? never : undefined extends T[Key] ? Key : never;
}[ShownKey<T>];

/** One object type instead of an intersection, as readers and `Equal` want it. */
export type Flat<T> = { [Key in keyof T]: T[Key] };
