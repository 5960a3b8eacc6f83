import { toAsyncApi } from '../explorer/asyncapi.js';
import { loadApplication, readManifest } from './application.js';
import { type AddCommand, type Terminal, UsageError } from './command.js';
import { addOutputOptions, type OutputOptions, output } from './output.js';

interface AsyncApiOptions extends OutputOptions {
  readonly title?: string;
  readonly apiVersion?: string;
  readonly url?: string;
}

const DESCRIPTION =
  'Writes the AsyncAPI 3 document of the built application: paths, actions with their kwargs and replies, and events. The ' +
  'application is not started, and its database is not opened.';

/** `signalbox asyncapi`: writes the whole socket API as one document. */
export const asyncApi: AddCommand = (program, terminal) => {
  const command = program
    .command('asyncapi')
    .summary('write the AsyncAPI 3 document of the application')
    .description(DESCRIPTION)
    .option('--title <text>', 'the title of the document (default: the name in package.json)')
    .option('--api-version <text>', 'the version of the API (default: the version in package.json)')
    .option('--url <url>', 'where the application is reached, as in: wss://example.org');
  addOutputOptions(command).action((options: AsyncApiOptions) =>
    output(() => documentOf(options, terminal), options, terminal),
  );
};

async function documentOf({ title, apiVersion, url }: AsyncApiOptions, terminal: Terminal): Promise<string> {
  if (url !== undefined && !URL.canParse(url)) throw new UsageError(`--url ${url} is no URL: wss://example.org`);
  const { name, version } = await readManifest(terminal.folder);
  const info = { title: title ?? name ?? 'Signalbox application', version: apiVersion ?? version ?? '0.0.0' };
  const app = await loadApplication(terminal);
  return `${JSON.stringify(toAsyncApi(app.describe(), info, url), null, 2)}\n`;
}
