import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed } from '../command.js';
import type { Names } from './names.js';

/** Facts that are read from an entity's source file: enough to show its columns and to make a row for a spec. */
export interface EntitySource {
  readonly names: Names;
  readonly key: string;
  /** The key and the properties that are neither hidden nor collections, in order. */
  readonly fields: readonly string[];
  /** Source code of a value for each required column; undefined if one of them is a relation. */
  readonly required: ReadonlyMap<string, string> | undefined;
}

/** A column's decorator with its options, then its member with the rest of the line. */
const member =
  /@(PrimaryKey|Property|Enum|ManyToOne|OneToOne)\(((?:(?!@(?:PrimaryKey|Property|Enum|ManyToOne|OneToOne)\()[\s\S])*?)\)\s*\n\s*(\w+)([^\n]*)/g;

/** Source code of a sample value by the type of a column, as JSON that a client would send. */
const samples: ReadonlyArray<readonly [type: RegExp, value: string]> = [
  [/^(string|text|varchar|character)/, "'some text'"],
  [/^(integer|int|smallint|tinyint|number|float|double)/, '1'],
  [/^(bigint|decimal)/, "'1'"],
  [/^bool/, 'true'],
  [/^(datetime|timestamp)/, "'2026-01-01T00:00:00.000Z'"],
  [/^date/, "'2026-01-01'"],
  [/^json/, '{}'],
];

export function entityPath({ kebab }: Names): string {
  return `src/entities/${kebab}.ts`;
}

/** @throws CommandFailed if there is no such entity */
export async function readEntity(folder: string, names: Names): Promise<EntitySource> {
  const found = await findEntity(folder, names);
  if (found) return found;
  throw new CommandFailed(
    `${entityPath(names)} does not exist. Make the entity first: signalbox make:model ${names.pascal}`,
  );
}

/** Reads an entity; undefined if there is no such entity. */
export async function findEntity(folder: string, names: Names): Promise<EntitySource | undefined> {
  const text = await readFile(join(folder, entityPath(names)), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const columns = [...text.matchAll(member)].map(([, decorator = '', options = '', name = '', rest = '']) => ({
    decorator,
    options,
    name,
    isOptional: /^\?|=/.test(rest) || /nullable: true|default|onCreate|autoincrement/.test(options),
  }));
  const shown = columns.filter(({ options }) => !/hidden: true/.test(options));
  const required = columns.filter(({ decorator, isOptional }) => decorator !== 'PrimaryKey' && !isOptional);
  const values = required.map(({ name, options }) => [name, sampleOf(options)] as const);
  const isSimple = values.every((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    names,
    key: columns.find(({ decorator }) => decorator === 'PrimaryKey')?.name ?? 'id',
    fields: shown.map(({ name }) => name),
    required: isSimple ? new Map(values as readonly [string, string][]) : undefined,
  };
}

function sampleOf(options: string): string | undefined {
  const [, type] = /type: '([^']+)'/.exec(options) ?? [];
  return type === undefined ? undefined : samples.find(([pattern]) => pattern.test(type))?.[1];
}
