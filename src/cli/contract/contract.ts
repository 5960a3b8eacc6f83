import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AsyncApiDocument } from '../../explorer/asyncapi.js';
import { type AddCommand, CommandFailed, type Terminal } from '../command.js';
import { type ContractChange, compareContracts } from './compare-contracts.js';

const DESCRIPTION =
  'Compares two AsyncAPI documents as `signalbox asyncapi` writes them, and lists each change. Exit code 1 if a client that ' +
  'was written for the old one may fail with the new one.';

/** `signalbox contract diff OLD NEW`: lists changes that clients may notice. */
export const contract: AddCommand = (program, terminal) => {
  program
    .command('contract')
    .summary('compare what two versions of an application offer')
    .description('Compares what two versions of an application offer.')
    .helpCommand(false)
    .command('diff')
    .summary('list the changes between two AsyncAPI documents; breaking ones fail')
    .description(DESCRIPTION)
    .argument('<old>', 'the document of the version that clients were written for')
    .argument('<new>', 'the document of the version that they will meet')
    .option('--json', 'print the changes as JSON')
    .action(async (before: string, after: string, { json = false }: { readonly json?: boolean }) => {
      const changes = compareContracts(await read(before, terminal), await read(after, terminal));
      const sorted = [...changes].sort((one, other) => Number(other.isBreaking) - Number(one.isBreaking));
      terminal.out(json ? `${JSON.stringify(sorted, null, 2)}\n` : sorted.map(lineOf).join(''));
      const sum = sumOf(sorted);
      if (sorted.some(({ isBreaking }) => isBreaking)) throw new CommandFailed(sum);
      terminal.err(`${sum}\n`);
    });
};

async function read(path: string, { folder }: Terminal): Promise<AsyncApiDocument> {
  const text = await readFile(resolve(folder, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CommandFailed(`${path} does not exist.`);
    throw error;
  });
  const document = parse(text);
  if (isDocument(document)) return document;
  throw new CommandFailed(
    `${path} is not an AsyncAPI 3 document in JSON. Write one: npx signalbox asyncapi --out ${path}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isDocument(value: unknown): value is AsyncApiDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { asyncapi, channels, operations, components } = value as Readonly<Record<string, unknown>>;
  const isThree = typeof asyncapi === 'string' && asyncapi.startsWith('3.');
  return isThree && [channels, operations, components].every((part) => typeof part === 'object' && part !== null);
}

function lineOf({ isBreaking, subject, text }: ContractChange): string {
  return `${isBreaking ? 'breaking  ' : 'compatible'}  ${subject}: ${text}\n`;
}

function sumOf(changes: readonly ContractChange[]): string {
  if (changes.length === 0) return 'Nothing has changed for clients.';
  const breaking = changes.filter(({ isBreaking }) => isBreaking).length;
  return `${counted(breaking, 'breaking change')}, ${counted(changes.length - breaking, 'compatible change')}.`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
