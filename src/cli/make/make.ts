import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import { type AddCommand, CommandFailed, type Terminal } from '../command.js';
import { type EntitySource, entityPath, findEntity, readEntity } from './entity-source.js';
import { type Names, namesOf } from './names.js';
import { type Edit, withElement, withImport } from './registration.js';
import * as stubs from './stubs.js';

interface MakeOptions {
  readonly model?: string;
  readonly stream?: string;
  readonly dryRun?: boolean;
}

/** The files that a command writes. */
interface Change {
  /** Path -> text of each new file. */
  readonly files: Readonly<Record<string, string>>;
  readonly registrations?: readonly Registration[];
}

/** A file that has to list the new ones. If it is not in the expected form, the user has to paste the lines. */
interface Registration {
  /** Undefined if the file was not found. */
  readonly path: string | undefined;
  readonly edit: Edit;
  readonly lines: readonly string[];
}

type Make = (names: Names, options: MakeOptions, folder: string) => Promise<Change>;

/** The commands `signalbox make:consumer Note`, `make:entity` and so on. */
export const makeCommands: AddCommand = (program, terminal) => {
  add(program, terminal, 'model', 'an entity, its migration and its spec', makeModel);
  add(program, terminal, 'serializer', 'a serializer of an entity, with its spec', makeSerializer, '--model');
  add(
    program,
    terminal,
    'consumer',
    'a consumer, registered as a stream, with its spec',
    makeConsumer,
    '--model',
    '--stream',
  );
  add(program, terminal, 'permission', 'a permission, with its spec', makePermission);
  add(
    program,
    terminal,
    'observer',
    'a consumer that sends the changes of an entity',
    makeObserver,
    '--model',
    '--stream',
  );
  add(program, terminal, 'spec', 'an empty spec with the database of the specs', makeSpec);
};

type Extra = '--model' | '--stream';

function add(
  program: Command,
  terminal: Terminal,
  kind: string,
  summary: string,
  make: Make,
  ...extras: Extra[]
): void {
  const command = program
    .command(`make:${kind}`)
    .summary(`make ${summary}`)
    .description(`Makes ${summary}. It never overwrites a file.`)
    .argument('<name>', 'in any spelling: ToDoItem, to-do-item');
  if (extras.includes('--model'))
    command.option('-m, --model <name>', 'the entity (default: the one of the same name)');
  if (extras.includes('--stream'))
    command.option('-s, --stream <name>', 'the name of the stream (default: the plural)');
  command.option('--dry-run', 'print what would be written, and write nothing');
  command.action(async (typed: string, options: MakeOptions) => {
    const { folder } = terminal;
    if (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'src')))
      throw new CommandFailed('There is no src/ beside a package.json here. Run this in the folder of an application.');
    await write(await make(namesOf(typed, kind), options, folder), options.dryRun === true, terminal);
  });
}

async function makeModel(names: Names): Promise<Change> {
  const { pascal, kebab, plural } = names;
  const migration = `create-${plural.kebab}`;
  const statement = `import { ${pascal} } from './${kebab}.js';`;
  const ofMigration = `import { Create${plural.pascal} } from './${migration}.js';`;
  const entryOf = (text: string) => `{ name: '${nextNumber(text)}-${migration}', class: Create${plural.pascal} }`;
  return {
    files: {
      [entityPath(names)]: stubs.entityStub(names),
      [`src/migrations/${migration}.ts`]: stubs.migrationStub(names),
      [`spec/entities/${kebab}.spec.ts`]: stubs.entitySpecStub(names),
    },
    registrations: [
      {
        path: 'src/entities/entities.ts',
        lines: [statement, `export const entities = […, ${pascal}];`],
        edit: (text) => withElement(withImport(text, statement), /entities = \[/, ']', pascal),
      },
      {
        path: 'src/migrations/migrations.ts',
        lines: [ofMigration, `export const migrations = […, ${entryOf('')}];`],
        edit: (text) => withElement(withImport(text, ofMigration), /migrations = \[/, ']', entryOf(text)),
      },
    ],
  };
}

/** The next number of a migration's name. Migrations run in the order of their list; the numbers only show it. */
function nextNumber(text: string): string {
  const numbers = [...text.matchAll(/name: '(\d{4})-/g)].map(([, number]) => Number(number));
  return String(Math.max(0, ...numbers) + 1).padStart(4, '0');
}

async function makeSerializer(names: Names, { model }: MakeOptions, folder: string): Promise<Change> {
  const entity = await readEntity(folder, model === undefined ? names : namesOf(model));
  return { files: serializerFiles(entity) };
}

function serializerFiles(entity: EntitySource): Change['files'] {
  const { kebab, plural } = entity.names;
  return {
    [`src/${plural.kebab}/${kebab}-serializer.ts`]: stubs.serializerStub(entity),
    [`spec/${plural.kebab}/${kebab}-serializer.spec.ts`]: stubs.serializerSpecStub(entity),
  };
}

/** The serializer's file; undefined if it exists. */
function missingSerializer(entity: EntitySource, folder: string): Change['files'] | undefined {
  const { kebab, plural } = entity.names;
  return existsSync(join(folder, `src/${plural.kebab}/${kebab}-serializer.ts`)) ? undefined : serializerFiles(entity);
}

async function makeConsumer(names: Names, options: MakeOptions, folder: string): Promise<Change> {
  const { model } = options;
  const entity = model === undefined ? await findEntity(folder, names) : await readEntity(folder, namesOf(model));
  const isGuarded = await usesPermissions(folder);
  const place = entity?.names.plural.kebab ?? names.plural.kebab;
  const files = entity
    ? {
        ...missingSerializer(entity, folder),
        [`src/${place}/${names.kebab}-consumer.ts`]: stubs.modelConsumerStub(names, entity, isGuarded),
        [`spec/${place}/${names.kebab}-consumer.spec.ts`]: stubs.modelConsumerSpecStub(names, place, entity, isGuarded),
      }
    : {
        [`src/${place}/${names.kebab}-consumer.ts`]: stubs.plainConsumerStub(names, isGuarded),
        [`spec/${place}/${names.kebab}-consumer.spec.ts`]: stubs.plainConsumerSpecStub(names, place, isGuarded),
      };
  return { files, registrations: [await stream(names, place, options, folder)] };
}

async function makeObserver(names: Names, options: MakeOptions, folder: string): Promise<Change> {
  const { model } = options;
  const entity = await readEntity(folder, namesOf(model ?? names.pascal));
  // `make:observer Task` makes an observer beside the TaskConsumer.
  const own = model === undefined ? namesOf(`${names.pascal}Events`) : names;
  const isGuarded = await usesPermissions(folder);
  const place = entity.names.plural.kebab;
  return {
    files: {
      ...missingSerializer(entity, folder),
      [`src/${place}/${own.kebab}-consumer.ts`]: stubs.observerStub(own, entity, isGuarded),
      [`spec/${place}/${own.kebab}-consumer.spec.ts`]: stubs.observerSpecStub(own, place, entity, isGuarded),
    },
    registrations: [await stream({ ...own, plural: own }, place, options, folder)],
  };
}

async function makePermission(names: Names): Promise<Change> {
  return {
    files: {
      [`src/permissions/${names.kebab}.ts`]: stubs.permissionStub(names),
      [`spec/permissions/${names.kebab}.spec.ts`]: stubs.permissionSpecStub(names),
    },
  };
}

/** A function that makes the application from an ORM alone; its further parameters have defaults or a question mark. */
const applicationOfOrm = /^export function createApplication\(\s*\w+: MikroORM,?\s*(?:\)|\w+(?:\?:|: [^=,)]+ = ))/m;

async function makeSpec(names: Names, _options: MakeOptions, folder: string): Promise<Change> {
  const path = await fileWith(folder, applicationOfOrm);
  return { files: { [`spec/${names.kebab}.spec.ts`]: stubs.specStub(names, path?.replace(/\.ts$/, '.js')) } };
}

/** Adds the consumer as a stream to the route. */
async function stream(
  { pascal, kebab, plural }: Names,
  place: string,
  { stream: given = plural.camel }: MakeOptions,
  folder: string,
): Promise<Registration> {
  const path = await fileWith(folder, /\bdemultiplexer\(\{/);
  const target = `src/${place}/${kebab}-consumer.js`;
  const from = path === undefined ? `./${place}/${kebab}-consumer.js` : specifier(dirname(path), target);
  const statement = `import { ${pascal}Consumer } from '${from}';`;
  const key = /^[A-Za-z_$][\w$]*$/.test(given) ? given : `'${given}'`;
  const entry = `${key}: ${pascal}Consumer`;
  const isTaken = new RegExp(`\\bdemultiplexer\\(\\{[^}]*\\b${given.replace(/[^\w]/g, '\\$&')}'?:`);
  return {
    path,
    lines: [statement, `demultiplexer({ …, ${entry} })`],
    edit: (text) =>
      isTaken.test(text) ? undefined : withElement(withImport(text, statement), /\bdemultiplexer\(\{/, '}', entry),
  };
}

function specifier(from: string, target: string): string {
  const path = relative(from, target).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${path}`;
}

/** Whether the application uses permissions: then a new consumer must not be open to everyone. */
async function usesPermissions(folder: string): Promise<boolean> {
  for (const path of await sources(folder)) {
    if (/^@Permissions\(/m.test(await readFile(join(folder, path), 'utf8'))) return true;
  }
  return false;
}

/** The only file of src/ that matches a pattern. */
async function fileWith(folder: string, pattern: RegExp): Promise<string | undefined> {
  const found: string[] = [];
  for (const path of await sources(folder)) {
    if (pattern.test(await readFile(join(folder, path), 'utf8'))) found.push(path);
  }
  return found.length === 1 ? found[0] : undefined;
}

async function sources(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(folder, 'src'), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `src/${name.replaceAll('\\', '/')}`);
}

async function write(
  { files, registrations = [] }: Change,
  isDry: boolean,
  { folder, out, err }: Terminal,
): Promise<void> {
  const present = Object.keys(files).filter((path) => existsSync(join(folder, path)));
  if (present.length > 0) {
    const verb = present.length === 1 ? 'is' : 'are';
    throw new CommandFailed(`${present.join(' and ')} ${verb} there already. Nothing was written.`);
  }
  const edited = await Promise.all(registrations.map((registration) => applied(registration, folder)));
  for (const [path, text] of Object.entries(files)) {
    if (isDry) out(`+++ ${path}\n${text}\n`);
    else {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
      out(`Wrote ${path}\n`);
    }
  }
  for (const { path, text, lines } of edited) {
    if (path === undefined || text === undefined) {
      const where = path === undefined ? 'where your routes are' : `into ${path}`;
      err(
        `Not registered, because the place was not found. Paste ${where}:\n\n${lines.map((line) => `  ${line}\n`).join('')}\n`,
      );
    } else if (isDry) out(`+++ ${path} would have\n${lines.map((line) => `${line}\n`).join('')}\n`);
    else {
      await writeFile(join(folder, path), text);
      out(`Registered in ${path}\n`);
    }
  }
}

async function applied({ path, edit, lines }: Registration, folder: string) {
  const text =
    path !== undefined && existsSync(join(folder, path)) ? await readFile(join(folder, path), 'utf8') : undefined;
  return { path, lines, text: text === undefined ? undefined : edit(text) };
}
