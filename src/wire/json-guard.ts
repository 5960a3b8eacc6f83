import { ParseError } from '../errors.js';
import type { Limits } from '../settings.js';

export type JsonLimits = Pick<Limits, 'jsonDepth' | 'jsonKeys' | 'jsonStringLength' | 'jsonArrayLength'>;

/**
 * Refuses JSON text that is dangerous to parse or would not be read as it was written: too deep or too large, the same key
 * twice, keys that name a prototype, numbers that JavaScript cannot hold, half of a character. One pass over the text, without
 * recursion. It knows no grammar: text that is no JSON passes, and `JSON.parse` refuses it.
 *
 * @returns how many keys, strings, numbers and other signs it has
 * @throws ParseError
 */
export function checkJson(text: string, limits: JsonLimits): number {
  return new JsonScan(text, limits).run();
}

const quote = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** An integer of at most this many characters, or any number without an exponent, needs no second look. */
const safeLength = 15;

/** An object or array that is not closed yet. */
interface Level {
  readonly isObject: boolean;
  /** Number of commas of an array. */
  count: number;
  /** Keys of an object, in a list while they are few. */
  readonly keys: string[];
  known: Set<string> | undefined;
  /** The last key that was read. */
  key: string;
}

class JsonScan {
  readonly #levels: Level[] = [];
  #level: Level | undefined;
  #at = 0;
  /** Whether the next string is a key. */
  #awaitsKey = false;
  /** The first backslash that is not behind us. */
  #backslash: number;

  constructor(
    private readonly text: string,
    private readonly limits: JsonLimits,
  ) {
    this.#backslash = find(text, '\\', 0);
  }

  run(): number {
    const { length } = this.text;
    let signs = 0;
    for (; this.#at < length; signs += 1) this.#step(this.text.charCodeAt(this.#at));
    return signs;
  }

  #step(sign: number): void {
    if (sign === quote) this.#string();
    else if ((sign >= zero && sign <= nine) || sign === minus) this.#number();
    else {
      this.#at += 1;
      if (sign === comma) this.#comma();
      else if (sign === openBrace || sign === openBracket) this.#open(sign === openBrace);
      else if (sign === closeBrace || sign === closeBracket) this.#close();
    }
  }

  #open(isObject: boolean): void {
    if (this.#levels.length >= this.limits.jsonDepth)
      throw new ParseError(`A frame may be nested ${this.limits.jsonDepth} levels deep.`);
    this.#level = { isObject, count: 0, keys: [], known: undefined, key: '' };
    this.#levels.push(this.#level);
    this.#awaitsKey = isObject;
  }

  #close(): void {
    this.#levels.pop();
    this.#level = this.#levels.at(-1);
    this.#awaitsKey = false;
  }

  #comma(): void {
    const level = this.#level;
    if (!level) return;
    this.#awaitsKey = level.isObject;
    if (level.isObject) return;
    level.count += 1;
    const { jsonArrayLength } = this.limits;
    if (level.count >= jsonArrayLength) throw new ParseError(`An array may have ${jsonArrayLength} elements.`);
  }

  /** Strings without a backslash, which are nearly all, are skipped without a look at each character. */
  #string(): void {
    const start = this.#at;
    if (this.#backslash < start) this.#backslash = find(this.text, '\\', start);
    let end = find(this.text, '"', start + 1);
    const isPlain = this.#backslash > end;
    if (!isPlain) end = endOfEscaped(this.text, this.#backslash);
    this.#at = end + 1;
    if (isPlain) this.#checkString(start + 1, end);
    else this.#checkEscaped(start, end);
  }

  #checkString(start: number, end: number): void {
    this.#checkLength(end - start);
    if (this.#awaitsKey) this.#addKey(this.text.slice(start, end));
  }

  #checkEscaped(start: number, end: number): void {
    const value = parsedString(this.text.slice(start, end + 1));
    if (value === undefined) return;
    this.#checkLength(value.length);
    if (!value.isWellFormed()) throw new ParseError('A string has half of a character in it, a lone surrogate.');
    if (this.#awaitsKey) this.#addKey(value);
  }

  #checkLength(length: number): void {
    const { jsonStringLength } = this.limits;
    if (length > jsonStringLength) throw new ParseError(`A string may have ${jsonStringLength} characters.`);
  }

  #addKey(key: string): void {
    this.#awaitsKey = false;
    const level = this.#level;
    if (!level) return;
    level.key = key;
    if (key === '__proto__' || (key === 'prototype' && this.#levels.at(-2)?.key === 'constructor'))
      throw new ParseError(`The key "${key}" may not be used here.`);
    if (!add(level, key)) throw new ParseError(`The key ${JSON.stringify(key.slice(0, 64))} is there twice.`);
    const { jsonKeys } = this.limits;
    if (level.keys.length > jsonKeys) throw new ParseError(`An object may have ${jsonKeys} keys.`);
  }

  #number(): void {
    const start = this.#at;
    let end = start + 1;
    let isPlain = true;
    for (; end < this.text.length; end += 1) {
      const sign = this.text.charCodeAt(end);
      if (sign >= zero && sign <= nine) continue;
      if (!isNumberSign(sign)) break;
      isPlain = false;
    }
    this.#at = end;
    if (isPlain && end - start <= safeLength) return;
    checkNumber(this.text.slice(start, end), isPlain);
  }
}

/** A number that is written as an integer is meant exactly; one with a point or an exponent is an approximation anyhow. */
function checkNumber(literal: string, isInteger: boolean): void {
  const value = Number(literal);
  const shown = literal.length > 32 ? `${literal.slice(0, 32)}…` : literal;
  if (isInteger && !Number.isSafeInteger(value))
    throw new ParseError(`The number ${shown} is beyond 2^53 and would not be read as it is. Send it as a string.`);
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    throw new ParseError(`The number ${shown} is too large.`);
}

/** `+`, `-`, `.`, `e` and `E`. */
function isNumberSign(sign: number): boolean {
  return sign === 0x2e || sign === 0x65 || sign === 0x45 || sign === 0x2b || sign === minus;
}

/** Up to this number of keys a search of the list is faster than a set. */
const few = 8;

/** @returns whether it is new */
function add(level: Level, key: string): boolean {
  const { keys } = level;
  if (level.known ? level.known.has(key) : keys.includes(key)) return false;
  keys.push(key);
  if (level.known) level.known.add(key);
  else if (keys.length > few) level.known = new Set(keys);
  return true;
}

function find(text: string, sign: string, from: number): number {
  const at = text.indexOf(sign, from);
  return at === -1 ? text.length : at;
}

/** The quote that ends a string, from its first backslash on. */
function endOfEscaped(text: string, backslash: number): number {
  let at = backslash;
  while (at < text.length) {
    const sign = text.charCodeAt(at);
    if (sign === quote) return at;
    at += sign === 0x5c ? 2 : 1;
  }
  return text.length;
}

function parsedString(literal: string): string | undefined {
  try {
    return JSON.parse(literal);
  } catch {
    return undefined;
  }
}
