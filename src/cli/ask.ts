import { createInterface } from 'node:readline/promises';

/**
 * Prints a question and resolves with the typed line.
 *
 * @param leave called for Ctrl+C and Ctrl+D: a user who leaves a question leaves the command
 */
export async function ask(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  leave: () => void,
): Promise<string> {
  const reader = createInterface({ input, output });
  reader.once('close', leave);
  const answer = await reader.question(question);
  // Removes only this listener. The reader releases the terminal by listeners of its own; without them, each further question would echo
  // the answer once more.
  reader.off('close', leave).close();
  return answer;
}
