import { ConfigurationError } from '../errors.js';
import { noParameters } from '../scope/route-parameters.js';

interface Converter {
  readonly takes: RegExp;
  readonly convert: (text: string) => string | number;
}

const asItIs = (text: string): string => text;

const converters: Readonly<Record<string, Converter>> = {
  text: { takes: /^.+$/su, convert: asItIs },
  int: { takes: /^(0|[1-9]\d{0,14})$/, convert: Number },
  uuid: { takes: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i, convert: asItIs },
};

interface Parameter {
  readonly name: string;
  readonly converter: Converter;
}

/** Each part of a path: a text that has to be there, or a parameter. */
export type RoutePattern = readonly (string | Parameter)[];

/** @throws ConfigurationError */
export function patternOf(at: string): RoutePattern {
  if (!at.startsWith('/')) throw fault(at, 'does not begin with a slash.', `Write /${at}.`);
  const pattern = partsOf(at).map((part) => (part.startsWith(':') ? parameterOf(at, part) : part));
  const names = pattern.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
  const again = names.find((name, index) => names.indexOf(name) !== index);
  if (again) throw fault(at, `has two parameters named "${again}".`, 'Give each a name of its own.');
  return pattern;
}

/** Two patterns of one place take the same paths. */
export function placeOf(pattern: RoutePattern): string {
  return pattern.map((part) => (typeof part === 'string' ? part : `:${part.converter.takes.source}`)).join('/');
}

/** The parameters of a path that the pattern takes. A path whose escapes mean no text is taken by none. */
export function paramsOf(pattern: RoutePattern, pathname: string): Readonly<Record<string, string>> | undefined {
  const parts = partsOf(pathname);
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = hasParameters(pattern) ? Object.create(null) : noParameters;
  for (const [index, expected] of pattern.entries()) {
    const part = decoded(parts[index] ?? '');
    if (part === undefined) return undefined;
    if (typeof expected === 'string') {
      if (expected !== part) return undefined;
    } else if (expected.converter.takes.test(part)) params[expected.name] = part;
    else return undefined;
  }
  return params;
}

/** The same parameters as their kinds want them: `int` as a number. */
export function convertedParams(
  pattern: RoutePattern,
  params: Readonly<Record<string, string>>,
): Readonly<Record<string, string | number>> {
  if (!hasParameters(pattern)) return noParameters;
  const converted: Record<string, string | number> = Object.create(null);
  for (const part of pattern) {
    const text = typeof part === 'string' ? undefined : params[part.name];
    if (typeof part !== 'string' && text !== undefined) converted[part.name] = part.converter.convert(text);
  }
  return converted;
}

function hasParameters(pattern: RoutePattern): boolean {
  return pattern.some((part) => typeof part !== 'string');
}

function partsOf(pathname: string): string[] {
  return pathname.replace(/\/$/, '').split('/').slice(1);
}

function parameterOf(at: string, part: string): Parameter {
  const [, name = '', , kind = 'text'] = /^:([^()]*)(\(([^()]*)\))?$/.exec(part) ?? [];
  if (name === '') throw fault(at, 'has a parameter without a name.', 'Write it as :room.');
  const converter = Object.hasOwn(converters, kind) ? converters[kind] : undefined;
  if (converter) return { name, converter };
  throw fault(
    at,
    `has a parameter "${name}" of the kind "${kind}", which there is not.`,
    `There are: ${Object.keys(converters).join(', ')}. Give a class as params for anything else.`,
  );
}

/** Undefined for what is no text, or none that a database takes. */
function decoded(part: string): string | undefined {
  try {
    const text = decodeURIComponent(part);
    return text.isWellFormed() && !text.includes('\0') ? text : undefined;
  } catch {
    return undefined;
  }
}

export function fault(member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'createApp', member, reason, remedy });
}
