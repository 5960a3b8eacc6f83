import { apiTypes } from './api-types/api-types.js';
import { ask } from './ask.js';
import { asyncApi } from './asyncapi.js';
import type { Terminal } from './command.js';
import { runCommandLine } from './command-line.js';
import { contract } from './contract/contract.js';
import { doctor } from './doctor/doctor.js';
import { logSql } from './log-sql.js';
import { makeCommands } from './make/make.js';
import { newApplication } from './new/new-application.js';
import { routes } from './routes.js';

const { stdin, stdout, stderr } = process;

const terminal: Terminal = {
  folder: process.cwd(),
  env: process.env,
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  ...(stdin.isTTY && stderr.isTTY && { ask: (question) => ask(question, stdin, stderr, () => process.exit(130)) }),
};

const commands = [newApplication, makeCommands, routes, doctor, apiTypes, asyncApi, contract, logSql];

void runCommandLine(commands, process.argv.slice(2), terminal).then((code) => {
  // A loaded application may keep the process running. The output has to be written before it exits.
  stdout.write('', () => process.exit(code));
});
