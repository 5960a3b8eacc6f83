import { apiTypes } from './api-types/api-types.js';
import { runCommandLine } from './command-line.js';

const terminal = {
  folder: process.cwd(),
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

void runCommandLine([apiTypes], process.argv.slice(2), terminal).then((code) => {
  process.exitCode = code;
});
