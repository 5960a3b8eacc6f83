let names = 0;

/** So that no two objects have a name in common. */
function newName(): string {
  names += 1;
  return names.toString(36);
}

function listOf(text: () => string, length = 1_000): string {
  return `[${Array.from({ length }, text).join(',')}]`;
}

/** The texts that take most, each of about the largest size that a frame may have. */
export const largeJson: Readonly<Record<string, () => string>> = {
  'empty objects': () => listOf(() => listOf(() => '{}'), 20),
  'empty lists': () => listOf(() => listOf(() => '[]'), 20),
  'lists in lists': () => listOf(() => '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]'),
  'objects of one name each': () => listOf(() => listOf(() => `{"${newName()}":1}`, 500), 10),
  'objects of ten names each': () =>
    listOf(() => `{${Array.from({ length: 10 }, () => `"${newName()}":1`).join(',')}}`, 600),
  'an object of a thousand names': () => `{${Array.from({ length: 1_000 }, () => `"${newName()}":1`).join(',')}}`,
  'objects of the same names': () => listOf(() => '{"id":1,"name":"a","on":true}'),
  'short texts': () => listOf(() => listOf(() => `"${newName()}"`), 8),
  'a long text': () => `"${'x'.repeat(32_768)}"`,
  'a long text beyond Latin': () => `"${'ж'.repeat(32_768)}"`,
  'whole numbers': () => listOf(() => listOf(() => '1'), 30),
  fractions: () => listOf(() => listOf(() => '1.5'), 15),
  'fractions and texts': () => listOf(() => listOf(() => '1.5,""', 500), 18),
};
