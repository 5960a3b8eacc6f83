import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { toAsyncApi } from '../explorer/asyncapi.js';
import { loadApplication, readManifest } from './application.js';
import { type AddCommand, CommandFailed, type Terminal, UsageError } from './command.js';

interface AsyncApiOptions {
  readonly out?: string;
  readonly title?: string;
  readonly apiVersion?: string;
  readonly url?: string;
  readonly check?: boolean;
}

const DESCRIPTION =
  'Writes the AsyncAPI 3 document of the built application: paths, actions with their kwargs and replies, and events. The ' +
  'application is not started, and its database is not opened.';

/** `signalbox asyncapi`: writes the whole socket API as one document. */
export const asyncApi: AddCommand = (program, terminal) => {
  program
    .command('asyncapi')
    .summary('write the AsyncAPI 3 document of the application')
    .description(DESCRIPTION)
    .option('-o, --out <path>', 'the file to write (default: the standard output)')
    .option('--title <text>', 'the title of the document (default: the name in package.json)')
    .option('--api-version <text>', 'the version of the API (default: the version in package.json)')
    .option('--url <url>', 'where the application is reached, as in: wss://example.org')
    .option('--check', 'write nothing; exit code 1 if the file is not as it would be written')
    .action(async (options: AsyncApiOptions) => {
      const { out, check = false } = options;
      if (check && out === undefined) throw new UsageError('--check compares a file: name it with --out.');
      const written = await documentOf(options, terminal);
      if (out === undefined) return terminal.out(written);
      await (check ? compare(written, out, terminal) : save(written, out, terminal));
    });
};

async function documentOf({ title, apiVersion, url }: AsyncApiOptions, terminal: Terminal): Promise<string> {
  if (url !== undefined && !URL.canParse(url)) throw new UsageError(`--url ${url} is no URL: wss://example.org`);
  const { name, version } = await readManifest(terminal.folder);
  const info = { title: title ?? name ?? 'Signalbox application', version: apiVersion ?? version ?? '0.0.0' };
  const app = await loadApplication(terminal);
  return `${JSON.stringify(toAsyncApi(app.describe(), info, url), null, 2)}\n`;
}

async function save(written: string, out: string, { folder, err }: Terminal): Promise<void> {
  const path = resolve(folder, out);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, written);
  err(`Wrote ${out}.\n`);
}

async function compare(written: string, out: string, { folder }: Terminal): Promise<void> {
  const present = await readFile(resolve(folder, out), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CommandFailed(`${out} does not exist. Write it: leave --check out.`);
    throw error;
  });
  // A checkout may have converted the line endings.
  if (present.replaceAll('\r\n', '\n') !== written) {
    throw new CommandFailed(`${out} is out of date: the application has changed. Write it again: leave --check out.`);
  }
}
