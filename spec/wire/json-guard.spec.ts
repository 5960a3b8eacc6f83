import { expect } from 'chai';
import fc from 'fast-check';
import { ParseError } from 'signalbox';
import { defaultSettings } from '#signalbox/settings.js';
import { checkJson, type JsonLimits } from '#signalbox/wire/json-guard.js';
import { checkProperty } from '../support/properties.js';

/** What the guard says of a text; undefined if it lets it pass. */
function refusal(text: string, limits: JsonLimits = defaultSettings.limits): string | undefined {
  try {
    checkJson(text, limits);
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(ParseError).with.property('status', 400);
    return (error as ParseError).message;
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const object = (keys: number) => JSON.stringify(Object.fromEntries(numbers(keys).map((key) => [`k${key}`, key])));

describe('The guard of JSON', () => {
  const passing: readonly [string, string][] = [
    ['32 levels', `${'['.repeat(32)}${']'.repeat(32)}`],
    ['brackets inside of strings', JSON.stringify(`"\\${'[{'.repeat(200)}`)],
    ['many arrays beside each other', JSON.stringify(numbers(500).map(() => [[1]]))],
    ['1,000 keys', object(1_000)],
    ['1,000 elements', JSON.stringify(numbers(1_000))],
    ['arrays of 1,000 elements in an array of 3', JSON.stringify([numbers(1_000), numbers(1_000), numbers(1_000)])],
    ['a string of 32,768 characters', JSON.stringify('a'.repeat(32_768))],
    ['the same key in two objects', '[{"a": {"a": 1}}, {"a": 1}]'],
    ['a key that is also a value', '{"a": "b", "b": "a"}'],
    [
      'the keys constructor and prototype apart',
      '{"constructor": {"name": 1}, "other": {"prototype": 1}, "prototype": 1}',
    ],
    ['the text __proto__', '{"a": "__proto__", "b": ["__proto__", "prototype"]}'],
    ['the largest safe integers', '[9007199254740991, -9007199254740991]'],
    [
      'large and precise numbers with a point or an exponent',
      '[1e308, 1.7976931348623157e308, 3.14159265358979323846264]',
    ],
    ['zeros', '[0, -0, 0.0, -0.0, 0e999]'],
    ['a whole character, written as two escapes', '"\\ud83d\\ude00"'],
    ['a null character, a line separator and a quote, as escapes', '"\\u0000\\u2028\\""'],
  ];
  for (const [what, text] of passing) {
    it(`lets ${what} pass`, () => {
      expect(refusal(text)).to.equal(undefined);
      expect(() => JSON.parse(text)).not.to.throw();
    });
  }

  const deep = 'A frame may be nested at most 32 levels deep.';
  const half = 'A string contains half of a character (a lone surrogate).';
  const refused: readonly [string, string, string][] = [
    ['33 arrays', `${'['.repeat(33)}${']'.repeat(33)}`, deep],
    ['33 objects', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, deep],
    ['a million brackets', '['.repeat(1_000_000), deep],
    ['1,001 keys', object(1_001), 'An object may have at most 1000 keys.'],
    ['1,001 elements', JSON.stringify(numbers(1_001)), 'An array may have at most 1000 elements.'],
    [
      'a string of 32,769 characters',
      JSON.stringify('a'.repeat(32_769)),
      'A string may have at most 32768 characters.',
    ],
    ['a key of 32,769 characters', `{"${'a'.repeat(32_769)}": 1}`, 'A string may have at most 32768 characters.'],
    ['32,769 escaped characters', `"${'\\n'.repeat(32_769)}"`, 'A string may have at most 32768 characters.'],
    ['a key twice', '{"action": "list", "a": {}, "action": "delete"}', 'The key "action" occurs twice.'],
    ['a key twice, once escaped', '{"action": 1, "\\u0061ction": 2}', 'The key "action" occurs twice.'],
    ['a key twice among many', `${object(20).slice(0, -1)}, "k3": 1}`, 'The key "k3" occurs twice.'],
    ['a nested key twice', '[{"a": [{"b": 1, "b": 1}]}]', 'The key "b" occurs twice.'],
    ['__proto__', '{"__proto__": 1}', 'The key "__proto__" may not be used here.'],
    ['__proto__, nested', '{"a": [{"__proto__": {}}]}', 'The key "__proto__" may not be used here.'],
    ['__proto__, escaped', '{"\\u005f_proto__": {}}', 'The key "__proto__" may not be used here.'],
    ['__proto__, escaped otherwise', '{"__\\u0070roto\\u005F_": {}}', 'The key "__proto__" may not be used here.'],
    ['constructor.prototype', '{"constructor": {"prototype": {}}}', 'The key "prototype" may not be used here.'],
    ['1e400', '[1e400]', 'The number 1e400 is too large.'],
    ['-1E+400', '{"a":-1E+400}', 'The number -1E+400 is too large.'],
    [
      'an integer beyond 2^53',
      '[9007199254740992]',
      'The number 9007199254740992 is beyond 2^53 and would lose digits. Send it as a string.',
    ],
    [
      'a number of 400 digits',
      `-${'7'.repeat(400)}`,
      `The number -${'7'.repeat(31)}… is beyond 2^53 and would lose digits. Send it as a string.`,
    ],
    ['a lone surrogate', '"\\ud800"', half],
    ['surrogates in the wrong order', '{"\\udc00\\ud800": 1}', half],
  ];
  for (const [what, text, sentence] of refused) {
    it(`refuses ${what}`, () => {
      expect(refusal(text)).to.equal(sentence);
    });
  }

  it('lets text that is no JSON pass to the parser, and ends', () => {
    for (const text of [
      '',
      '"',
      '"\\',
      '"\\"',
      '{"a',
      '{"a":1,}',
      ']]]',
      '}',
      ',',
      '{]',
      '-',
      '--1',
      '1e',
      '"\\x"',
      '\u{feff}{}',
    ]) {
      expect(refusal(text), text).to.equal(undefined);
    }
  });

  // In quadratic time it would not end before the deadline of a spec.
  it('comes to its end with a large text, whatever it is made of', () => {
    const size = 400_000;
    for (const part of ['"\\\\', '\\"', '"a', '"\\"', '{"a":', '1-', '[],', '"",', '"\\u0041",', '{}', '-']) {
      refusal(part.repeat(size / part.length), {
        jsonDepth: size,
        jsonKeys: size,
        jsonStringLength: size,
        jsonArrayLength: size,
      });
    }
  });

  it('refuses JSON values beyond its limits, and only those (any value)', () => {
    const limits = { jsonDepth: 3, jsonKeys: 3, jsonStringLength: 4, jsonArrayLength: 3 };
    const text = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('"\\"', '\\\\', '\u2028', '\u{1f600}', '[{'));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, tie('leaf'), tie('list'), tie('map')),
      leaf: fc.oneof(
        text,
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constant(null),
        fc.boolean(),
      ),
      list: fc.array(tie('value'), { maxLength: 4 }),
      map: fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    }));
    const spaces = fc.constantFrom(undefined, 1, '\t');
    checkProperty(
      fc.property(value, spaces, (generated, space) => {
        const written = JSON.stringify(generated, undefined, space);
        const isRefused = refusal(written, limits) !== undefined;
        expect(isRefused, written).to.equal(!isWithin(limits, JSON.parse(written), written));
      }),
    );
  });

  it('lets no key pass twice, however it is escaped (any keys)', () => {
    const key = fc.string({ maxLength: 3, unit: fc.constantFrom('a', 'b', '"', '\\', '\n') });
    const written = fc
      .tuple(key, fc.boolean())
      .map(([text, isEscaped]) => ({ text, json: isEscaped ? escaped(text) : JSON.stringify(text) }));
    checkProperty(
      fc.property(fc.array(written, { maxLength: 20 }), (keys) => {
        const isTwice = new Set(keys.map(({ text }) => text)).size < keys.length;
        expect(refusal(`{${keys.map(({ json }) => `${json}:1`).join()}}`) !== undefined).to.equal(isTwice);
      }),
    );
  });

  it('never throws but a ParseError (any text)', () => {
    const sign = fc.constantFrom(...'{}[]":,\\u0019-+.eE ntf\u{1f600}');
    checkProperty(fc.property(fc.string({ unit: sign, maxLength: 60 }), (text) => void refusal(text)));
  });
});

function escaped(text: string): string {
  const signs = [...text].map((sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `"${signs.join('')}"`;
}

/** The same rules, on the value instead of the text. */
function isWithin(limits: JsonLimits, value: unknown, written: string): boolean {
  const withoutTexts = written.replace(/"(?:[^"\\]|\\.)*"/g, '');
  const integers = withoutTexts.match(/(?<![\d.e+-])-?\d+(?![\d.e])/g) ?? [];
  return isSmall(limits, value, 1) && integers.every((integer) => Number.isSafeInteger(Number(integer)));
}

function isSmall(limits: JsonLimits, value: unknown, level: number): boolean {
  if (typeof value === 'string') return value.length <= limits.jsonStringLength;
  if (typeof value !== 'object' || value === null) return true;
  if (level > limits.jsonDepth) return false;
  const fits = (part: unknown): boolean => isSmall(limits, part, level + 1);
  if (Array.isArray(value)) return value.length <= limits.jsonArrayLength && value.every(fits);
  const keys = Object.keys(value);
  if (keys.length > limits.jsonKeys || keys.includes('__proto__')) return false;
  return keys.every((key) => key.length <= limits.jsonStringLength) && Object.values(value).every(fits);
}
