// Ways in which a function or a class can be wrong.

type Call = (this: unknown, ...given: unknown[]) => unknown;
type Make = new (...given: unknown[]) => object;

/** It does nothing, and resolves at once. */
export function leftOut(): Call {
  return () => Promise.resolve();
}

/** It does nothing, and returns this. */
export function always(answer: unknown): () => Call {
  return () => () => answer;
}

/** It runs with other arguments than its caller passed. */
export function given<Given extends readonly unknown[]>(change: (...given: Given) => readonly unknown[]) {
  return (original: Call) =>
    function (this: unknown, ...given: unknown[]): unknown {
      return original.apply(this, [...change(...(given as unknown as Given))]);
    };
}

/** Its caller gets something else than it returned. */
export function answered<Answer>(change: (answer: Answer) => unknown) {
  return (original: Call) =>
    function (this: unknown, ...given: unknown[]): unknown {
      return change(original.apply(this, given) as Answer);
    };
}

/** Instances of the class are made with other arguments. */
export function made<Given extends readonly unknown[]>(change: (...given: Given) => readonly unknown[]) {
  return (original: Make): Make =>
    class extends original {
      constructor(...given: unknown[]) {
        super(...change(...(given as unknown as Given)));
      }
    };
}

/** A text, of SQL for instance, says something else in one place. @throws Error where it has no such place */
export function reworded(passage: string, instead: string) {
  return (original: string): string => {
    if (!original.includes(passage)) throw new Error(`There is no "${passage}" in: ${original}`);
    return original.replaceAll(passage, () => instead);
  };
}
