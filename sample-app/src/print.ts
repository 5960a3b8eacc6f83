/** For the developer who started the app; the log goes to stderr. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
