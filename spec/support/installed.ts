import { existsSync } from 'node:fs';

/** A program that this machine may have or not. */
export class Installed {
  /**
   * @param variable of the environment, which may name its path
   * @param packaged its package in Debian
   * @param places where it is looked for otherwise
   */
  constructor(
    private readonly name: string,
    private readonly variable: string,
    private readonly packaged: string,
    private readonly places: readonly string[],
  ) {}

  /** @throws Error where it is missing */
  get path(): string {
    const path = this.#find();
    if (path === undefined) throw new Error(this.#missing);
    return path;
  }

  /**
   * For the `before` of specs that need it: passes them over where it is missing, and fails with `CI=true`. What stands after it in the
   * same hook does not run without the program.
   */
  neededBy(context: Mocha.Context): void {
    if (this.#find() !== undefined) return;
    if (process.env.CI === 'true') throw new Error(this.#missing);
    context.skip();
  }

  #find(): string | undefined {
    const named = process.env[this.variable];
    if (named === undefined || named === '') return this.places.find((path) => existsSync(path));
    if (existsSync(named)) return named;
    throw new Error(`${this.variable} is ${named}, where there is no file`);
  }

  get #missing(): string {
    const { name, variable, packaged, places } = this;
    return `${name} is missing: set ${variable} to its path, or install it (Debian: apt-get install ${packaged}). Looked at ${places.join(', ')}`;
  }
}
