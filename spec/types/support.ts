/** True for two types that are the same in every respect: modifiers, unions and literals too. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `same<A, B>()` compiles where the two types are the same. */
export function same<A, B>(..._proof: Equal<A, B> extends true ? [] : ['these types are not the same']): void {}

/** A value of a type, for specs that are compiled and never run. */
export declare function some<T>(): T;
