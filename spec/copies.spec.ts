import { execFile } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { linkPackages, ScratchProject } from './support/scratch-project.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

const peers = [
  '@mikro-orm/core',
  '@mikro-orm/decorators',
  '@mikro-orm/postgresql',
  '@mikro-orm/sql',
  'class-transformer',
  'class-validator',
  'reflect-metadata',
  'tslib',
  'tsyringe',
];

/** What a copy of Signalbox needs beside its peers. */
const dependencies = ['@standard-schema/spec', 'commander', 'ws'];

/** Decorates as the compiler does. */
const decorating = `
import 'reflect-metadata';
export const decorate = (decorators, target, member) => {
  const descriptor = member === undefined ? undefined : Object.getOwnPropertyDescriptor(target, member);
  for (const decorator of decorators.toReversed()) decorator(target, member, descriptor);
};
`;

/** An application, as it was compiled, that says what start-up makes of it. */
const application = (text: string, options = '') => `
import { decorate } from './decorate.js';
import { MikroORM } from '@mikro-orm/postgresql';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { IsInt } from 'class-validator';
import { Action, ApiConsumer, Consumer, createApp, path } from 'signalbox';
${text}
export default async () => {
  const orm = await MikroORM.init({
    entities: [], discovery: { warnWhenNoEntities: false }, metadataProvider: ReflectMetadataProvider,
    clientUrl: 'postgresql://nobody@127.0.0.1:1/none',
  });
  return createApp({ orm, routes: [path('/', TheConsumer)], ${options} });
};
`;

/** Prints the text of a refusal, or what is logged. */
const program = `
import start from './app.js';
try {
  const app = await start();
  console.log('started');
  await app.close();
} catch (error) {
  console.log(error.name + ': ' + error.message);
}
`;

/** What `npm install` makes of a shared package that depends on a copy of its own. */
describe('A second copy of a package', function () {
  this.timeout(60_000);
  let project: ScratchProject;

  beforeEach(async () => {
    const linked = Object.fromEntries(peers.map((name) => [name, name]));
    project = await ScratchProject.create({ ...linked, signalbox: '.' });
    await project.write({ 'decorate.js': decorating, 'main.js': program });
  });
  afterEach(() => project.remove());

  /** A package in the project's node_modules that has copies of its own of others. */
  async function install(name: string, copied: readonly string[], text: string): Promise<void> {
    const folder = join('node_modules', name);
    await project.write({
      'package.json': JSON.stringify({ type: 'module', signalbox: { app: './app.js' } }),
      [`${folder}/package.json`]: JSON.stringify({ name, version: '1.0.0', type: 'module', exports: './index.js' }),
      [`${folder}/index.js`]: text,
    });
    for (const each of copied) {
      const copy = join(project.folder, folder, 'node_modules', each);
      if (each !== 'signalbox')
        await cp(join(root, 'node_modules', each), copy, { recursive: true, dereference: true });
      else
        for (const part of ['package.json', 'dist']) await cp(join(root, part), join(copy, part), { recursive: true });
    }
  }

  async function outcome(...words: readonly string[]): Promise<string> {
    const program = words.length > 0 ? words : ['main.js'];
    // Those of this process: the bug zoo plants by one of them.
    const { stdout, stderr } = await run(process.execPath, [...process.execArgv, ...program], {
      cwd: project.folder,
      env: { ...process.env, NODE_ENV: 'production' },
    }).catch((failure: { stdout: string; stderr: string }) => failure);
    return `${stderr}${stdout}`.replaceAll(project.folder, 'HERE').replaceAll(root.replace(/\/$/, ''), 'ROOT').trim();
  }

  const plain = 'export class TheConsumer extends ApiConsumer {}\ndecorate([Consumer()], TheConsumer);';

  it('of tsyringe is named where a class bears its decorators', async () => {
    await install(
      '@acme/clerks',
      ['tsyringe'],
      `import 'reflect-metadata';
import { injectable } from 'tsyringe';
export class Pen {}
export class Clerk { constructor(pen) { this.pen = pen; } }
Reflect.defineMetadata('design:paramtypes', [Pen], Clerk);
injectable()(Clerk);`,
    );
    await project.write({
      'app.js': application(`import { Clerk } from '@acme/clerks';
class TheConsumer extends ApiConsumer { constructor(clerk) { super(); this.clerk = clerk; } }
Reflect.defineMetadata('design:paramtypes', [Clerk], TheConsumer);
decorate([Consumer()], TheConsumer);`),
    });
    expect(await outcome()).to.equal(
      "ConfigurationError: Clerk: is decorated by the copy in HERE/node_modules/@acme/clerks/node_modules/tsyringe, and the application runs with the copy of tsyringe in ROOT/node_modules/tsyringe: one knows nothing of the other's classes and decorators. " +
        'Let all use one: `npm ls tsyringe` shows which package needs which. Bring the versions together, then npm dedupe; a package of your own that several applications share takes tsyringe as a peer dependency.',
    );
    expect(await outcome(join(root, 'bin/signalbox.js'), 'doctor')).to.contain(
      'error: The application cannot be put together from ./app.js:\nClerk: is decorated by the copy in HERE/node_modules/@acme/clerks/node_modules/tsyringe, and',
    );
  });

  it('of tsyringe is named where the container comes from it', async () => {
    await install('@acme/container', ['tsyringe'], `import 'reflect-metadata';\nexport { container } from 'tsyringe';`);
    await project.write({
      'app.js': application(`import { container } from '@acme/container';\n${plain}`, 'container'),
    });
    expect(await outcome()).to.match(
      /^ConfigurationError: createApp\.container: comes from another copy, in HERE\/node_modules\/@acme\/container\/node_modules\/tsyringe, and the application runs with the copy of tsyringe in ROOT\/node_modules\/tsyringe: /,
    );
  });

  it('of tsyringe that no class of the application has to do with is no matter of start-up; doctor notes it', async () => {
    await install('x509', ['tsyringe'], `import 'reflect-metadata';\nimport 'tsyringe';`);
    await project.write({ 'app.js': application(`import 'x509';\n${plain}`) });
    expect(await outcome()).to.equal('started');
    expect(await outcome(join(root, 'bin/signalbox.js'), 'doctor')).to.contain(
      `note: The application loads tsyringe from several places: ROOT/node_modules/tsyringe and HERE/node_modules/x509/node_modules/tsyringe.
  That is right where a library uses its copy for itself. Let all use one: \`npm ls tsyringe\` shows which package needs which.`,
    );
  });

  it('of class-transformer is named where kwargs bear its decorators', async () => {
    await install(
      '@acme/kwargs',
      ['class-transformer'],
      `import 'reflect-metadata';
import { Type } from 'class-transformer';
export class Since {}
Type(() => Date)(Since.prototype, 'since');`,
    );
    await project.write({
      'app.js': application(`import { Since } from '@acme/kwargs';
import { Allow } from 'class-validator';
Allow()(Since.prototype, 'since');
class TheConsumer extends ApiConsumer { async show(kwargs) { return kwargs; } }
decorate([Action({ kwargs: Since })], TheConsumer.prototype, 'show');
decorate([Consumer()], TheConsumer);`),
    });
    expect(await outcome()).to.match(
      /^ConfigurationError: Since: has properties with decorators of the copy in HERE\/node_modules\/@acme\/kwargs\/node_modules\/class-transformer, and the application runs with the copy of class-transformer in ROOT\/node_modules\/class-transformer: .*`npm ls class-transformer`/,
    );
  });

  describe('of Signalbox', () => {
    const copyWith = async (text: string) => {
      await install('@acme/consumers', ['signalbox'], text);
      const needed = [...peers, ...dependencies].map((name) => [name, name]);
      await linkPackages(join(project.folder, 'node_modules/@acme/consumers'), Object.fromEntries(needed));
    };
    const copy = 'HERE/node_modules/@acme/consumers/node_modules/signalbox';

    it('is named where a consumer extends its base', async () => {
      await copyWith(`import 'reflect-metadata';
import { ApiConsumer, Consumer } from 'signalbox';
export class SharedConsumer extends ApiConsumer {}
Consumer()(SharedConsumer);`);
      await project.write({
        'app.js': application(`import { SharedConsumer } from '@acme/consumers';
class TheConsumer extends SharedConsumer {}
decorate([Consumer()], TheConsumer);`),
      });
      expect(await outcome()).to.match(
        new RegExp(
          `^ConfigurationError: TheConsumer: is or extends a class of the copy in ${copy}, and the application runs with the copy of signalbox in ROOT: .*\`npm ls signalbox\``,
        ),
      );
    });

    it('is named where a method bears its decorator: there would be no such action', async () => {
      await copyWith(`import 'reflect-metadata';\nexport { Action } from 'signalbox';`);
      await project.write({
        'app.js': application(`import { Action as OtherAction } from '@acme/consumers';
class TheConsumer extends ApiConsumer { async show() { return 1; } }
decorate([OtherAction()], TheConsumer.prototype, 'show');
decorate([Consumer()], TheConsumer);`),
      });
      expect(await outcome()).to.match(
        new RegExp(
          `^ConfigurationError: TheConsumer: has decorators of the copy in ${copy}, and the application runs with`,
        ),
      );
    });

    it('is named where a provider asks for one of its classes', async () => {
      await copyWith(`import 'reflect-metadata';\nexport { Logger } from 'signalbox';`);
      await project.write({
        'app.js': application(`import { Logger } from '@acme/consumers';
class TheConsumer extends ApiConsumer { constructor(logger) { super(); this.logger = logger; } }
Reflect.defineMetadata('design:paramtypes', [Logger], TheConsumer);
decorate([Consumer()], TheConsumer);`),
      });
      expect(await outcome()).to.contain(
        `\nConfigurationError: Logger: is or extends a class of the copy in ${copy}, and the application runs with`,
      );
    });

    it('is told in the log where start-up finds nothing else, and by doctor', async () => {
      await copyWith(`import 'reflect-metadata';\nexport { NotFound } from 'signalbox';`);
      await project.write({ 'app.js': application(`import '@acme/consumers';\n${plain}`) });
      const [line = '', started] = (await outcome()).split('\n');
      expect(JSON.parse(line)).to.deep.include({
        level: 'warn',
        message: 'Signalbox is loaded more than once.',
        copies: ['ROOT', copy],
      });
      expect(started).to.equal('started');
      expect(await outcome(join(root, 'bin/signalbox.js'), 'doctor')).to.contain(
        `warning: The application loads signalbox from several places: ROOT and ${copy}.\n  Let all use one: \`npm ls signalbox\` shows which package needs which.`,
      );
    });
  });

  it('of MikroORM is named where the ORM comes from it', async () => {
    const copied = ['core', 'decorators', 'postgresql', 'sql'].map((name) => `@mikro-orm/${name}`);
    await install('@acme/orm', copied, '');
    const needed = ['kysely', 'pg', 'pg-cursor', 'postgres-array', 'postgres-date', 'postgres-interval'].map((name) => [
      name,
      name,
    ]);
    await linkPackages(join(project.folder, 'node_modules/@acme/orm'), Object.fromEntries(needed));
    await project.write({
      'node_modules/@acme/orm/index.js': `import { MikroORM } from '@mikro-orm/postgresql';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
export const orm = () => MikroORM.init({
  entities: [], discovery: { warnWhenNoEntities: false }, metadataProvider: ReflectMetadataProvider,
  clientUrl: 'postgresql://nobody@127.0.0.1:1/none',
});`,
      'app.js': `import { decorate } from './decorate.js';
import { orm } from '@acme/orm';
import { ApiConsumer, Consumer, createApp, path } from 'signalbox';
${plain}
export default async () => createApp({ orm: await orm(), routes: [path('/', TheConsumer)] });`,
    });
    expect(await outcome()).to.match(
      /^ConfigurationError: createApp\.orm: comes from another copy, and the application runs with the copy of @mikro-orm\/core in ROOT\/node_modules\/@mikro-orm\/core: .*`npm ls @mikro-orm\/core`/,
    );
  });
});
