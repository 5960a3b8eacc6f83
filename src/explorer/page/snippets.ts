import type { ActionDescription } from './api.js';
import { pathOf, type Target } from './session.js';

/** The code of a request with `signalbox/client`. */
export function clientCode(
  target: Target,
  stream: string | null,
  action: ActionDescription,
  kwargs: Readonly<Record<string, unknown>>,
): string {
  const { origin } = location;
  const url = `${origin.replace(/^http/, 'ws')}${pathOf(target)}${target.query && `?${target.query}`}`;
  const consumer = stream === null ? 'client' : member('client', stream);
  const call = Object.keys(kwargs).length === 0 ? '' : literal(kwargs);
  return [
    "import { createClient } from 'signalbox/client';",
    "import type { Api } from './api.js';",
    '',
    `const client = createClient<Api>(${quoted(url)});`,
    '',
    ...linesOf(consumer, action, call),
  ].join('\n');
}

function linesOf(consumer: string, action: ActionDescription, call: string): readonly string[] {
  const [observer] = action.subscribesTo;
  const name = action.member;
  if (observer !== undefined && name === 'subscribeInstance') {
    return [
      `const subscription = ${consumer}.$onInstance(${call}, (event) => console.log(event));`,
      'await subscription.ready;',
    ];
  }
  if (observer !== undefined) {
    const parts = [quoted(observer), quoted(name), call || '{}', '(event) => console.log(event)'];
    return [`const subscription = ${consumer}.$on(${parts.join(', ')});`, 'await subscription.ready;'];
  }
  if (action.sendsParts) {
    return [
      `const call = ${member(consumer, name)}(${call});`,
      'for await (const part of call) console.log(part);',
      'console.log(await call);',
    ];
  }
  const returned = action.reply && 'type' in action.reply && action.reply.type === 'null' ? '' : 'const data = ';
  return [`${returned}await ${member(consumer, name)}(${call});`];
}

function member(of: string, name: string): string {
  return isIdentifier(name) ? `${of}.${name}` : `${of}[${quoted(name)}]`;
}

/** A value as a TypeScript literal, on one line if it is short. */
function literal(value: unknown, indent = ''): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(JSON.stringify(value));
  const inner = `${indent}  `;
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((one) => literal(one, inner))
    : Object.entries(value).map(([name, one]) => `${isIdentifier(name) ? name : quoted(name)}: ${literal(one, inner)}`);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (parts.length === 0) return open + close;
  const line = isList ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`;
  if (line.length <= 70 && !line.includes('\n')) return line;
  return `${open}\n${parts.map((part) => `${inner}${part},`).join('\n')}\n${indent}${close}`;
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}

function quoted(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'").replaceAll('\\"', '"')}'`;
}
