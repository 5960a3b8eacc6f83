import { execFile } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { makeCommands } from '#signalbox/cli/make/make.js';
import { copyTemplate } from '#signalbox/cli/new/template.js';
import { readersShell } from '../../support/readers-project.js';
import { TestTerminal } from '../../support/test-terminal.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

describe('signalbox make:…', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'signalbox-make-')));
    await copyTemplate(folder, 'my-app', {
      template: 'minimal',
      database: 'pglite',
      packageManager: 'npm',
      framework: '0.1.0',
    });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const run = async (command: string, at = folder) => {
    const terminal = new TestTerminal(at);
    const code = await runCommandLine([makeCommands], command.split(' '), terminal);
    return { code, written: terminal.written, errors: terminal.errors };
  };
  const done = (written: string) => ({ code: 0, written, errors: '' });
  const read = (path: string) => readFile(join(folder, path), 'utf8');

  it('make:model writes an entity and its migration, and registers both', async () => {
    expect(await run('make:model ToDoItem')).to.deep.equal(
      done(`Wrote src/entities/to-do-item.ts
Wrote src/migrations/create-to-do-items.ts
Wrote spec/entities/to-do-item.spec.ts
Registered in src/entities/entities.ts
Registered in src/migrations/migrations.ts
`),
    );
    expect(await read('src/entities/to-do-item.ts')).to.contain('@Entity()\nexport class ToDoItem {\n');
    expect(await read('src/migrations/create-to-do-items.ts')).to.contain('create table "to_do_item" (');
    expect(await read('src/entities/entities.ts')).to.equal(`import { Task } from './task.js';
import { ToDoItem } from './to-do-item.js';

/** The entities that MikroORM knows. \`signalbox make:model\` adds to them. */
export const entities = [Task, ToDoItem];
`);
    expect(await read('src/migrations/migrations.ts')).to.contain(
      "export const migrations = [{ name: '0001-create-tasks', class: CreateTasks }, { name: '0002-create-to-do-items', class: CreateToDoItems }];\n",
    );
  });

  it('make:serializer shows what the entity has, save what is hidden', async () => {
    await writeFile(
      join(folder, 'src/entities/account.ts'),
      `import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';

@Entity()
export class Account {
  @PrimaryKey({ type: 'uuid' })
  key!: string;

  @Property({ type: 'string' })
  name!: string;

  @Property({ type: 'string', hidden: true })
  passwordHash!: string;
}
`,
    );
    expect(await run('make:serializer account')).to.deep.equal(
      done('Wrote src/accounts/account-serializer.ts\nWrote spec/accounts/account-serializer.spec.ts\n'),
    );
    expect(await read('src/accounts/account-serializer.ts')).to.contain(`
export class AccountSerializer extends ModelSerializer(Account, {
  fields: ['key', 'name'],
  readOnly: ['key'],
}) {}
`);
  });

  it('make:consumer writes a consumer of the entity of its name, and registers it as a stream', async () => {
    await run('make:model Category');
    expect(await run('make:consumer CategoryConsumer')).to.deep.equal(
      done(`Wrote src/categories/category-serializer.ts
Wrote spec/categories/category-serializer.spec.ts
Wrote src/categories/category-consumer.ts
Wrote spec/categories/category-consumer.spec.ts
Registered in src/app.ts
`),
    );
    const app = await read('src/app.ts');
    expect(app).to.contain(
      "import { TaskConsumer } from './tasks/task-consumer.js';\nimport { CategoryConsumer } from './categories/category-consumer.js';\n",
    );
    expect(app).to.contain(
      "routes: [path('/ws/', demultiplexer({ tasks: TaskConsumer, categories: CategoryConsumer }))],\n",
    );
    expect(await read('src/categories/category-consumer.ts')).to.not.contain('@Permissions');
  });

  it('make:consumer writes one without a model where there is no entity of its name', async () => {
    expect(await run('make:consumer ping --stream ping-pong')).to.deep.equal(
      done('Wrote src/pings/ping-consumer.ts\nWrote spec/pings/ping-consumer.spec.ts\nRegistered in src/app.ts\n'),
    );
    expect(await read('src/app.ts')).to.contain("demultiplexer({ tasks: TaskConsumer, 'ping-pong': PingConsumer })");
  });

  it('make:consumer asks for a login where other consumers have permissions', async () => {
    const path = join(folder, 'src/tasks/task-consumer.ts');
    await writeFile(
      path,
      (await readFile(path, 'utf8')).replace('@Consumer()\n', '@Consumer()\n@Permissions(IsAuthenticated)\n'),
    );
    await run('make:consumer ping');
    expect(await read('src/pings/ping-consumer.ts')).to.contain(
      '@Consumer()\n@Permissions(IsAuthenticated)\nexport class',
    );
  });

  it('make:observer writes a consumer that sends the changes of an entity', async () => {
    expect(await run('make:observer Task')).to.deep.equal(
      done(`Wrote src/tasks/task-events-consumer.ts
Wrote spec/tasks/task-events-consumer.spec.ts
Registered in src/app.ts
`),
    );
    expect(await read('src/app.ts')).to.contain(
      'demultiplexer({ tasks: TaskConsumer, taskEvents: TaskEventsConsumer })',
    );
  });

  it('make:permission writes a permission', async () => {
    expect(await run('make:permission is-member')).to.deep.equal(
      done('Wrote src/permissions/is-member.ts\nWrote spec/permissions/is-member.spec.ts\n'),
    );
    expect(await read('src/permissions/is-member.ts')).to.contain('export class IsMember implements Permission {');
  });

  it('make:spec writes a spec of the application', async () => {
    expect(await run('make:spec Overdue')).to.deep.equal(done('Wrote spec/overdue.spec.ts\n'));
    expect(await read('spec/overdue.spec.ts')).to.contain("import { createApplication } from '../src/app.js';\n");
  });

  it('make:spec writes a spec of the database alone where an application takes more than an ORM', async () => {
    const path = join(folder, 'src/app.ts');
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replace('createApplication(orm: MikroORM)', 'createApplication(orm: MikroORM, clock: Clock)'),
    );
    await run('make:spec Overdue');
    expect(await read('spec/overdue.spec.ts')).to.not.contain('createApplication');
    expect(await read('spec/overdue.spec.ts')).to.contain("it('has a database', ");
  });

  it('makes what compiles and passes its specs, also in the template chat', async function () {
    this.timeout(120_000);
    await rm(folder, { recursive: true });
    await copyTemplate(folder, 'my-app', {
      template: 'chat',
      database: 'pglite',
      packageManager: 'npm',
      framework: '0.1.0',
    });
    const commands = [
      'make:model Note',
      'make:consumer Note',
      'make:observer Note',
      'make:consumer Ping',
      'make:permission IsMember',
      'make:spec Overdue',
    ];
    for (const command of commands) expect(await run(command)).to.deep.include({ code: 0, errors: '' });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-b'], { cwd: folder });
    const required = ['reflect-metadata', './dist/spec/support/environment.js'].flatMap((file) => ['--require', file]);
    const made = ['dist/spec/{entities,notes,permissions,pings}/*.spec.js', 'dist/spec/overdue.spec.js'];
    const words = [
      join(root, 'node_modules/mocha/bin/mocha.js'),
      '--no-config',
      ...required,
      '--timeout',
      '60000',
      ...made,
    ];
    const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: folder, env: readersShell() });
    expect(stdout).to.match(/\n {2}10 passing/);
  });

  it('makes what compiles and passes its specs', async function () {
    this.timeout(120_000);
    const commands = [
      'make:model Note',
      'make:consumer Note',
      'make:observer Note',
      'make:observer TaskChanges --model Task',
      'make:consumer Ping',
      'make:consumer DoneTask --model Task',
      'make:permission IsMember',
      'make:spec Overdue',
    ];
    for (const command of commands) expect(await run(command)).to.deep.include({ code: 0, errors: '' });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
    const { stdout } = await promisify(execFile)('npm', ['test'], { cwd: folder, env: readersShell() });
    expect(stdout).to.match(/\n {2}15 passing/);
    expect(stdout).to.not.contain('failing');
  });

  it('prints with --dry-run what it would write, and writes nothing', async () => {
    const before = await read('src/app.ts');
    const { code, written } = await run('make:consumer ping --dry-run');
    expect(code).to.equal(0);
    expect(written).to.match(/^\+\+\+ src\/pings\/ping-consumer\.ts\nimport \{ Length \} from 'class-validator';\n/);
    expect(written).to.contain(`+++ src/app.ts would have
import { PingConsumer } from './pings/ping-consumer.js';
demultiplexer({ …, pings: PingConsumer })
`);
    expect(await read('src/app.ts')).to.equal(before);
    expect(await run('make:consumer ping')).to.include({ code: 0 });
  });

  it('never overwrites: where one of its files is there, it writes none', async () => {
    await run('make:permission IsMember');
    await rm(join(folder, 'src/permissions/is-member.ts'));
    await writeFile(join(folder, 'spec/permissions/is-member.spec.ts'), 'mine');
    expect(await run('make:permission IsMember')).to.deep.equal({
      code: 1,
      written: '',
      errors: 'spec/permissions/is-member.spec.ts is there already. Nothing was written.\n',
    });
    expect(await read('spec/permissions/is-member.spec.ts')).to.equal('mine');
  });

  describe('prints the lines to paste where it cannot register', () => {
    it('because the routes are written otherwise', async () => {
      await writeFile(join(folder, 'src/app.ts'), 'export const streams = { tasks: 1 };\n');
      expect(await run('make:consumer ping')).to.deep.equal({
        code: 0,
        written: 'Wrote src/pings/ping-consumer.ts\nWrote spec/pings/ping-consumer.spec.ts\n',
        errors: `Not registered, because the place was not found. Paste where your routes are:

  import { PingConsumer } from './pings/ping-consumer.js';
  demultiplexer({ …, pings: PingConsumer })

`,
      });
    });

    it('because the name of the stream is taken', async () => {
      const { code, errors } = await run('make:consumer ping --stream tasks');
      expect(code).to.equal(0);
      expect(errors).to.contain('Paste into src/app.ts:\n');
      expect(errors).to.contain('  demultiplexer({ …, tasks: PingConsumer })\n');
    });
  });

  it('keeps the form of a list that is written on several lines', async () => {
    const path = join(folder, 'src/app.ts');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('{ tasks: TaskConsumer }', '{\n      tasks: TaskConsumer,\n    }'));
    await run('make:consumer ping');
    expect(await read('src/app.ts')).to.contain(
      'demultiplexer({\n      tasks: TaskConsumer,\n      pings: PingConsumer,\n    })',
    );
  });

  it('refuses a name that is none, an entity that is not there, and a folder without an application', async () => {
    for (const name of ['1st', 'a/b', '-']) {
      const { code, errors } = await run(`make:spec ${name === '-' ? '- ' : name}`.trim());
      expect(code, name).to.equal(2);
      expect(errors, name).to.equal(
        `"${name}" is no name: use letters and digits, beginning with a letter, as in ToDoItem.\n`,
      );
    }
    expect(await run('make:serializer Nothing')).to.deep.equal({
      code: 1,
      written: '',
      errors: 'src/entities/nothing.ts does not exist. Make the entity first: signalbox make:model Nothing\n',
    });
    expect(await run('make:spec Overdue', join(folder, 'page'))).to.deep.equal({
      code: 1,
      written: '',
      errors: 'There is no src/ beside a package.json here. Run this in the folder of an application.\n',
    });
  });
});
