import { createInterface } from 'node:readline/promises';
import { apiTypes } from './api-types/api-types.js';
import type { Terminal } from './command.js';
import { runCommandLine } from './command-line.js';
import { makeCommands } from './make/make.js';
import { newApplication } from './new/new-application.js';

const { stdin, stdout, stderr } = process;

const terminal: Terminal = {
  folder: process.cwd(),
  env: process.env,
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  ...(stdin.isTTY && stderr.isTTY && { ask }),
};

async function ask(question: string): Promise<string> {
  const reader = createInterface({ input: stdin, output: stderr });
  // Ctrl+C and Ctrl+D: whoever leaves a question leaves the command.
  reader.once('close', () => process.exit(130));
  const answer = await reader.question(question);
  reader.removeAllListeners('close').close();
  return answer;
}

void runCommandLine([newApplication, makeCommands, apiTypes], process.argv.slice(2), terminal).then((code) => {
  process.exitCode = code;
});
