import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import pg from 'pg';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { doctor } from '#signalbox/cli/doctor/doctor.js';
import { logScript } from '#signalbox/log/log-schema.js';
import { defaultSettings } from '#signalbox/settings.js';
import { createDatabase } from '../support/postgres.js';
import { ScratchProject } from '../support/scratch-project.js';
import { TestTerminal } from '../support/test-terminal.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

const packages = [
  '@mikro-orm/core',
  '@mikro-orm/decorators',
  '@mikro-orm/postgresql',
  '@mikro-orm/sql',
  'class-transformer',
  'class-validator',
  'reflect-metadata',
  'tsyringe',
  'typescript',
];

/** An application whose database is not there unless it says so; plain JavaScript, as if it had been compiled. */
const application = ({
  settings = '{}',
  orm = "ignoreSchema: ['signalbox']",
  entities = '[Note]',
  more = '',
  layer = 'undefined',
} = {}) => `
import { Entity, PrimaryKey, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { ApiConsumer, Consumer, createApp, InMemoryChannelLayer, ModelObserver, path, Scope } from 'signalbox';
import { RedisChannelLayer } from 'signalbox/redis';
import { inject, injectable, singleton } from 'tsyringe';

class Note {}
PrimaryKey({ type: 'integer' })(Note.prototype, 'id');
Entity()(Note);
class NoteConsumer extends ApiConsumer { async onNote(event, subscription) { await subscription.send(event); } }
${more}
Consumer()(NoteConsumer);
export default async () => {
  const orm = await MikroORM.init({
    entities: ${entities}, metadataProvider: ReflectMetadataProvider, clientUrl: 'postgresql://nobody@127.0.0.1:1/none', schemaGenerator: { ${orm} },
  });
  return createApp({ orm, routes: [path('/', NoteConsumer)], settings: ${settings}, channelLayer: ${layer} });
};
`;

describe('signalbox doctor', function () {
  this.timeout(60_000);
  let project: ScratchProject;
  let env: NodeJS.ProcessEnv;
  let count = 0;

  beforeEach(async () => {
    env = { ...process.env };
    const linked = Object.fromEntries(packages.map((name) => [name, name]));
    project = await ScratchProject.create({ ...linked, signalbox: '.' });
  });
  afterEach(() => project.remove());

  const run = async (...words: string[]) => {
    const terminal = new TestTerminal(project.folder, env);
    const code = await runCommandLine([doctor], ['doctor', ...words], terminal);
    return {
      code,
      written: terminal.written.replaceAll(project.folder, 'HERE').replaceAll(root.replace(/\/$/, ''), 'ROOT'),
      errors: terminal.errors,
    };
  };
  /** Node imports a module once, so each application has a name of its own. */
  const write = async (text: string, manifest: object = {}) => {
    count += 1;
    const app = `./dist/app-${count}.js`;
    await project.write({
      'package.json': JSON.stringify({ type: 'module', signalbox: { app }, ...manifest }),
      [app]: text,
    });
  };
  const noDatabase = `error: The database does not answer: connect ECONNREFUSED 127.0.0.1:1
  Start it, or correct its address (DATABASE_URL in the environment or in .env).
`;

  it('finds nothing wrong with the sample app', async () => {
    const terminal = new TestTerminal(join(root, 'sample-app'), env);
    expect(await runCommandLine([doctor], ['doctor'], terminal)).to.equal(0);
    expect(terminal.written).to.equal(
      `ok: The channel layer is InMemoryChannelLayer, which reaches this process only.

Nothing is wrong: 17 checks passed.
`,
    );
  });

  it('ends with 1 where there is an error: the database does not answer', async () => {
    await write(application());
    expect(await run()).to.deep.equal({ code: 1, written: noDatabase, errors: 'There is one error.\n' });
  });

  it('prints findings as JSON', async () => {
    await write(application());
    expect(JSON.parse((await run('--json')).written)).to.deep.equal([
      {
        severity: 'error',
        text: 'The database does not answer: connect ECONNREFUSED 127.0.0.1:1',
        remedy: 'Start it, or correct its address (DATABASE_URL in the environment or in .env).',
      },
    ]);
  });

  it('finds settings that are dangerous in production', async () => {
    env['NODE_ENV'] = 'production';
    const settings = `{ origins: 'any', trustedProxies: ['0.0.0.0/0'], development: true, limits: { subscriptions: 100000 } }`;
    await write(application({ settings }));
    expect(await run()).to.deep.equal({
      code: 1,
      written: `${noDatabase}
warning: The setting \`origins\` is "any": every page that a user visits may open a socket as that user.
  List the origins of your pages, or leave it out where they come from the same host.

error: The setting \`trustedProxies\` holds 0.0.0.0/0: every client may say which address it has, and evade the limits by address.
  Name the addresses of your proxies only.

warning: These limits are more than 20 times their default: subscriptions (100000 instead of 512).
  Lower them to what your clients need: a single client may use up the process.

warning: NODE_ENV is production, and the setting \`development\` is true: the log says what only developers should read.
  Leave the setting out; it follows NODE_ENV.
`,
      errors: 'There are 2 errors.\n',
    });
  });

  it('finds that MikroORM takes the tables of the framework for its own', async () => {
    await write(application({ orm: '' }));
    expect((await run()).written).to.contain(`
warning: MikroORM treats the tables of Signalbox, in the schema "signalbox", as its own: a schema update or a new migration would drop them.
  Leave them out: MikroORM.init({ schemaGenerator: { ignoreSchema: ['signalbox'] } }).
`);
  });

  it('finds that the change log cannot be made', async () => {
    const url = await createDatabase('doctor');
    const owner = new pg.Client(url);
    await owner.connect();
    await owner.query('create role sick login');
    const more = `Object.defineProperty(NoteConsumer.prototype, 'onNote', { enumerable: true });
ModelObserver(() => Note)(NoteConsumer.prototype, 'onNote', Object.getOwnPropertyDescriptor(NoteConsumer.prototype, 'onNote'));`;
    const text = application({ more }).replace(
      'postgresql://nobody@127.0.0.1:1/none',
      url.replace('postgres@', 'sick@'),
    );
    try {
      await write(text);
      expect((await run()).written).to.contain(`
error: The change log cannot be used. createApp.orm: has no change log yet, and its role "sick" may not make it: permission denied to create a schema. Run this as a role that may; \`npx signalbox log:sql --role sick\` prints it too.
  The SQL of the tables and of the rights: npx signalbox log:sql --role <role>
`);
      await owner.query(logScript(defaultSettings.changeLog, 'sick'));
      await write(text);
      expect((await run()).written).to.not.contain('change log');
    } finally {
      await owner.query('drop owned by sick');
      await owner.query('drop role sick');
      await owner.end();
    }
  });

  it('finds that the server of the channel layer does not answer', async () => {
    await write(application({ layer: "new RedisChannelLayer('redis://127.0.0.1:1')" }));
    expect(await run()).to.deep.equal({
      code: 1,
      written: `${noDatabase}
error: The channel layer RedisChannelLayer does not answer: connect ECONNREFUSED 127.0.0.1:1
  Start the server of RedisChannelLayer, or correct its address.
`,
      errors: 'There are 2 errors.\n',
    });
  });

  it('does not wait for a channel layer that never answers', async () => {
    const more = 'class MuteLayer extends InMemoryChannelLayer { check() { return new Promise(() => {}); } }';
    await write(application({ more, layer: 'new MuteLayer()' }));
    expect((await run()).written).to.contain(`
error: The channel layer MuteLayer does not answer: no answer in 5000 ms
  Start the server of MuteLayer, or correct its address.
`);
  });

  it('says which channel layer answers', async () => {
    const url = await createDatabase('doctor');
    await write(application().replace('postgresql://nobody@127.0.0.1:1/none', url));
    expect(await run()).to.deep.equal({
      code: 0,
      written: `ok: The channel layer is NotifyChannelLayer, and it answers.

Nothing is wrong: 17 checks passed.
`,
      errors: '',
    });
  });

  it('finds a channel layer of one process right where there are no entities', async () => {
    await write(application({ entities: '[], discovery: { warnWhenNoEntities: false }' }));
    expect((await run()).written).to.contain(
      '\nok: The channel layer is InMemoryChannelLayer, which reaches this process only.\n',
    );
  });

  it('notes a channel layer of one process beside a database of many', async () => {
    await write(application({ layer: 'new InMemoryChannelLayer()' }));
    expect(
      (await run()).written,
    ).to.contain(`note: The channel layer is InMemoryChannelLayer, which reaches this process only.
  Where several processes serve the application, leave out the option \`channelLayer\` and \`changeLog.listen: false\`, or give createApp a RedisChannelLayer.
`);
  });

  it('finds entities that MikroORM does not know', async () => {
    await write(application());
    await project.write({
      'src/entities/note.ts': '@Entity()\nexport class Note {\n',
      'src/entities/tag.ts': "@Entity({ tableName: 'tags' })\nexport class Tag {\n",
    });
    expect(
      (await run()).written,
    ).to.contain(`warning: src/entities/tag.ts has the entity Tag, which MikroORM does not know.
  Add it to the \`entities\` of MikroORM.init.
`);
  });

  it('notes observers without groups', async () => {
    const more = `Object.defineProperty(NoteConsumer.prototype, 'onNote', { enumerable: true });
ModelObserver(() => Note)(NoteConsumer.prototype, 'onNote', Object.getOwnPropertyDescriptor(NoteConsumer.prototype, 'onNote'));`;
    await write(application({ more }));
    expect(
      (await run()).written,
    ).to.contain(`note: NoteConsumer.onNote has no groups, so each change of Note is sent to every subscription.
  Where a subscription concerns some of them only, yield groups: @GroupsForSignal('onNote') and @GroupsForConsumer('onNote').
`);
  });

  it('finds what start-up refuses: a captive dependency', async () => {
    const more = `class Keeper {}
Reflect.metadata('design:paramtypes', [Scope])(Keeper);
singleton()(Keeper);
Reflect.metadata('design:paramtypes', [Keeper])(NoteConsumer);`;
    await write(application({ more }));
    const { code, written } = await run();
    expect(code).to.equal(1);
    expect(
      written.replace(/app-\d+/, 'app'),
    ).to.equal(`error: The application cannot be put together from ./dist/app.js:
Keeper: is a singleton and depends on the scope of one connection: Keeper -> Scope. Take @singleton() off it, or hand the scope to its methods.
  Correct it, build, and run the doctor again: other checks need it.
`);
  });

  it('finds what start-up refuses: an unregistered token below a consumer', async () => {
    const more = `class Notifier {}
Reflect.metadata('design:paramtypes', [Object])(Notifier);
inject('Mailer')(Notifier, undefined, 0);
injectable()(Notifier);
Reflect.metadata('design:paramtypes', [Notifier])(NoteConsumer);`;
    await write(application({ more }));
    const { code, written } = await run();
    expect(code).to.equal(1);
    expect(written).to.contain(
      'Notifier: asks for "Mailer", and nothing is registered under that token: NoteConsumer -> Notifier -> "Mailer". Register it',
    );
  });

  describe('finds in the installation', () => {
    /** A package that is there as a folder of its own, and not as a link. */
    const install = async (name: string, manifest: object) => {
      const folder = join(project.folder, 'node_modules', name);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'package.json'), JSON.stringify({ name, ...manifest }));
    };

    beforeEach(() => write(''));

    it('packages of MikroORM in several versions', async () => {
      await install('@mikro-orm/postgresql', { version: '7.2.0' });
      expect(
        (await run()).written,
      ).to.contain(`error: MikroORM's packages differ in version: @mikro-orm/core 7.2.1, @mikro-orm/decorators 7.2.1, @mikro-orm/postgresql 7.2.0, @mikro-orm/sql 7.2.1.
  Install all of them in one version: npm install --save-exact @mikro-orm/core@7.2.1 @mikro-orm/decorators@7.2.1 @mikro-orm/postgresql@7.2.1 @mikro-orm/sql@7.2.1
`);
    });

    it('a peer that is there twice', async () => {
      await install('tsyringe', { version: '4.9.0' });
      expect(
        (await run()).written,
      ).to.contain(`error: tsyringe is installed twice: 4.9.0 in HERE/node_modules/tsyringe for the application, and 4.10.0 in ROOT/node_modules/tsyringe for Signalbox.
  Let both use one: bring the versions in package.json together, then npm dedupe. \`npm ls tsyringe\` shows who asks for which.
`);
    });

    it('a peer that is missing', async () => {
      await rm(join(project.folder, 'node_modules/class-validator'), { recursive: true });
      expect((await run()).written).to.contain(`error: class-validator is not installed, and Signalbox needs it.
  Install it: npm install class-validator
`);
    });

    it('a TypeScript that is too old', async () => {
      await install('typescript', { version: '5.8.3' });
      expect(
        (await run()).written,
      ).to.contain(`error: TypeScript is 5.8.3, and the types of Signalbox need 5.9 or newer.
  Install a newer one: npm install --save-dev typescript@latest
`);
    });

    it('a Node.js that is too old', async () => {
      await install('signalbox', { version: '9.0.0', engines: { node: '>=99.1' } });
      const { written } = await run();
      expect(written).to.contain(`error: Node.js is ${process.versions.node}, and Signalbox needs 99.1 or newer.
  Install a newer Node.js.
`);
      expect(written).to.match(
        /\nwarning: This command belongs to Signalbox \S+ in ROOT, and the application uses 9\.0\.0 in HERE\/node_modules\/signalbox\.\n {2}Run the application's own: npx signalbox doctor\n/,
      );
    });

    it('nothing installed at all', async () => {
      await rm(join(project.folder, 'node_modules'), { recursive: true });
      const { code, written } = await run();
      expect(code).to.equal(1);
      expect(written).to.contain('error: Signalbox is not installed.\n  Install the packages: npm install\n');
      expect(written).to.contain(
        'error: MikroORM is not installed.\n  Install @mikro-orm/core and the package of a driver, in one version.\n',
      );
    });

    it('a script that compiles without metadata', async () => {
      await write('', { scripts: { dev: 'tsx watch src/main.ts', build: 'tsc -b' } });
      expect(
        (await run()).written,
      ).to.contain(`warning: The script "dev" uses tsx, which emits no decorator metadata: the container passes nothing to constructors.
  Compile with tsc and run the result: tsc -b && node dist/main.js
`);
    });

    it('a script that lets Node.js run TypeScript', async () => {
      await write('', {
        scripts: { dev: 'node --watch src/main.ts', start: 'node dist/main.js', build: 'tsc -b && node dist/build.js' },
      });
      const { written } = await run();
      expect(
        written,
      ).to.contain(`warning: The script "dev" lets Node.js run TypeScript, which takes no decorators: SyntaxError: Invalid or unexpected token.
  Compile with tsc and run the result: tsc -b && node dist/main.js
`);
      expect(written).to.not.contain('The script "start"').and.not.contain('The script "build"');
    });

    it('classes that were compiled without metadata', async () => {
      await project.write({ 'dist/note.js': '__decorate([\n    Property()\n], Note.prototype, "name", void 0);\n' });
      expect(
        (await run()).written,
      ).to.contain(`error: The classes in dist/ are decorated, and compiled without the types of their members and parameters.
  Set "experimentalDecorators" and "emitDecoratorMetadata" to true in tsconfig.json, and build with tsc.
`);
    });
  });
});
