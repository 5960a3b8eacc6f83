/** A spec of a scenario of DCRF, by the title in its source. */
export interface ScenarioSpec {
  readonly number: string;
  /** Whether Signalbox does otherwise than DCRF. */
  readonly differs: boolean;
}

/** The numbers of `catalogue.txt`. */
export function numbersOf(catalogue: string): readonly string[] {
  return [...catalogue.matchAll(/^(S\d{3}) \S/gm)].map(([, number = '']) => number);
}

/** `it('S110 (differs) …')`, for each one in a source. */
export function scenarioSpecsOf(source: string): readonly ScenarioSpec[] {
  const titles = source.matchAll(/\bit\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g);
  return [...titles].flatMap(([, single, double, backtick]) => {
    const title = single ?? double ?? backtick ?? '';
    const number = /^S\d{3}(?=\b)/.exec(title)?.[0];
    return number === undefined ? [] : [{ number, differs: title.includes('(differs)') }];
  });
}

/** `- **S110**: …`, for each one in a page. */
export function differencesOf(page: string): readonly string[] {
  return [...page.matchAll(/^- ((?:\*\*S\d{3}\*\*(?:, | and )?)+)/gm)].flatMap(
    ([, numbers = '']) => numbers.match(/S\d{3}/g) ?? [],
  );
}

/** What is wrong, one sentence each. */
export function catalogueFaults(
  numbers: readonly string[],
  specs: readonly ScenarioSpec[],
  differences: readonly string[],
): readonly string[] {
  const known = new Set(numbers);
  const held = new Set(specs.map(({ number }) => number));
  const differing = new Set(specs.filter(({ differs }) => differs).map(({ number }) => number));
  const listed = new Set(differences);
  return [
    ...numbers.filter((number) => !held.has(number)).map((number) => `${number} has no spec below spec/dcrf/.`),
    ...[...held]
      .filter((number) => !known.has(number))
      .map((number) => `${number} has a spec, and is not in the catalogue.`),
    ...[...listed]
      .filter((number) => !known.has(number))
      .map((number) => `${number} is listed as a difference, and is not in the catalogue.`),
    ...[...differing]
      .filter((number) => !listed.has(number))
      .map((number) => `${number} differs, and docs/coming-from-dcrf.md does not say why.`),
    ...[...listed]
      .filter((number) => held.has(number) && !differing.has(number))
      .map((number) => `${number} is listed as a difference, and its spec has no "(differs)" in its title.`),
  ];
}
