import 'reflect-metadata';
import { ConfigurationError } from '../errors.js';
import { hasRules } from '../kwargs/kwargs-checker.js';
import type { ConcreteClass } from '../metadata.js';

const shapeless: ReadonlySet<unknown> = new Set([Object, Function, Array, String, Number, Boolean, Promise, undefined]);

/**
 * The class of a method's parameter, as the compiler wrote it down.
 *
 * @throws ConfigurationError where the type does not exist at run time
 */
export function parameterClass(prototype: object, member: string, position: number): ConcreteClass<object> {
  const type = parameterTypes(prototype, member, position)[position];
  if (!shapeless.has(type)) return type as ConcreteClass<object>;
  if (type === Function) throw importedAsType(prototype, member, position);
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `the type of parameter ${position + 1} does not exist at run time (it is ${nameOf(type)} there): an \`import type\`, an inline object type, an interface, a union or an array.`,
    remedy: 'Declare a class and import it as a value, or name it: @Action({ kwargs: TheClass }).',
  });
}

/** What the compiler writes for a class that is there as a type only; also for a type of functions, which no method has for a parameter. */
function importedAsType(prototype: object, member: string, position: number): ConfigurationError {
  return new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `the class of parameter ${position + 1} is imported as a type, so that it does not exist at run time.`,
    remedy: "Import it as a value, without `type`. The context too: import { ActionContext } from 'signalbox'.",
  });
}

/** @throws ConfigurationError for a class that nothing would be let through */
export function checkHasRules(prototype: object, member: string, kwargs: ConcreteClass<object>): void {
  if (hasRules(kwargs)) return;
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: `its kwargs class ${kwargs.name} has no rule, so that nothing a client sends would reach the method.`,
    remedy: `Put class-validator decorators on the properties of ${kwargs.name}, for example @IsInt().`,
  });
}

/**
 * @param position the parameter that is asked for
 * @throws ConfigurationError where the compiler writes no types down, and the method has a parameter there
 */
export function parameterTypes(prototype: object, member: string, position: number): readonly unknown[] {
  const types = writtenTypes(prototype, member);
  if (types) return types;
  if (countParameters(prototype, member) <= position) return [];
  throw new ConfigurationError({
    class: prototype.constructor.name,
    member,
    reason: 'the compiler wrote no types down for it.',
    remedy:
      'Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json, and compile with tsc: tsx and esbuild leave the types out. ' +
      'Or name the class of the kwargs, which needs no types: @Action({ kwargs: TheClass }).',
  });
}

/** Undefined where the compiler writes none down. @throws ConfigurationError for standard decorators */
export function writtenTypes(prototype: object, member: string): readonly unknown[] | undefined {
  checkLegacy(member);
  return Reflect.getMetadata('design:paramtypes', prototype, member);
}

function countParameters(prototype: object, member: string): number {
  const method: unknown = Reflect.get(prototype, member);
  return typeof method === 'function' ? method.length : 0;
}

/** Standard decorators get a context object where legacy ones get the member's name. */
function checkLegacy(member: unknown): void {
  if (typeof member === 'string') return;
  const name = typeof member === 'object' && member !== null && 'name' in member ? String(member.name) : 'a member';
  throw new ConfigurationError({
    class: name,
    reason: 'is decorated by a standard decorator, which has no types to look at.',
    remedy: 'Set "experimentalDecorators" and "emitDecoratorMetadata" in tsconfig.json.',
  });
}

function nameOf(type: unknown): string {
  return typeof type === 'function' ? type.name : String(type);
}
