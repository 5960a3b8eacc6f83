import type { StandardSchemaV1 } from '@standard-schema/spec';
import { objectSchema } from '../kwargs/json-schema.js';
import { type OwnSchema, ownSchema } from '../kwargs/own-schema.js';

type Issue = StandardSchemaV1.Issue;

/** A schema of kwargs that are integers, each from a minimum on. */
export function wholeNumbers<const Minima extends Readonly<Record<string, number>>>(
  minima: Minima,
): OwnSchema<{ readonly [Name in keyof Minima]?: number }> {
  return schemaOf(minima, {});
}

/** A schema of kwargs that are integers or texts. */
export function schemaOf<
  const Minima extends Readonly<Record<string, number>>,
  const Texts extends Readonly<Record<string, true>>,
>(
  minima: Minima,
  texts: Texts,
): OwnSchema<{ readonly [Name in keyof Minima]?: number } & { readonly [Name in keyof Texts]?: string }> {
  return ownSchema(
    (value) => {
      const raw = value as Readonly<Record<string, unknown>>;
      const numbers = Object.entries(minima).map(
        ([name, minimum]) => [name, textOfNumber(raw[name], minimum)] as const,
      );
      const strings = Object.keys(texts).map((name) => [name, textOfText(raw[name])] as const);
      const issues: Issue[] = [...numbers, ...strings].flatMap(([name, message]) =>
        message === undefined ? [] : [{ path: [name], message }],
      );
      if (issues.length > 0) return { issues };
      const names = [...Object.keys(minima), ...Object.keys(texts)].filter((name) => raw[name] !== undefined);
      return { value: Object.fromEntries(names.map((name) => [name, raw[name]])) as never };
    },
    () => {
      const numbers = Object.entries(minima).map(([name, minimum]) => [name, { type: 'integer', minimum }] as const);
      const strings = Object.keys(texts).map((name) => [name, { type: 'string' }] as const);
      return objectSchema(Object.fromEntries([...numbers, ...strings]), []);
    },
  );
}

function textOfNumber(value: unknown, minimum: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 'A valid integer is required.';
  return value < minimum ? `Ensure this value is greater than or equal to ${minimum}.` : undefined;
}

function textOfText(value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? undefined : 'Not a valid string.';
}
