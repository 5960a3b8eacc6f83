import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { routes } from '#signalbox/cli/routes.js';
import { ScratchProject } from '../support/scratch-project.js';
import { TestTerminal } from '../support/test-terminal.js';

const sampleApp = fileURLToPath(new URL('../../../sample-app/', import.meta.url));

async function run(folder: string, ...words: string[]) {
  const terminal = new TestTerminal(folder);
  const code = await runCommandLine([routes], ['routes', ...words], terminal);
  return { code, written: terminal.written, errors: terminal.errors };
}

describe('signalbox routes', function () {
  // The sample app is imported.
  this.timeout(60_000);

  it('prints what the application offers, without a start and without a database', async () => {
    const { code, written } = await run(sampleApp);
    expect(code).to.equal(0);
    expect(written).to.equal(`/ws/chat/
  middleware: CookieSession

  chat: RoomConsumer of Room   permissions: IsAuthenticated

    ACTION                              KWARGS                          DOES     RUNS               FOLLOWS
    list                                                                reads
    retrieve                            pk: integer                     reads
    create                              data: {name, isPrivate?}        writes   in a transaction
    subscribe_instance                  pk: integer                     reads                       onInstance
    unsubscribe_instance                pk?: integer                    reads
    join_room                           pk: integer                                                 onUsers
    leave_room                          pk: integer
    create_message                      text: string                    writes   in a transaction
    add_member                          pk: integer, username: string   writes
    remove_member                       pk: integer, username: string   writes
    subscribe_to_messages_in_room       pk: integer                     reads                       onMessage
    unsubscribe_from_messages_in_room   pk: integer                     reads
    subscribe_to_rooms                                                  reads                       onRoom

    list, retrieve: entities at times, because of RoomConsumer.getSerializer, which may give a serializer that needs them

    OBSERVER     OF        GROUPS                              FOLLOWED BY
    onInstance   Room      groupsOfInstance, groupsOfKey       subscribe_instance
    onMessage    Message   groupsOfMessage, groupsOfMessages   subscribe_to_messages_in_room
    onUsers      Room      groupsOfRoom, groupsOfUsers         join_room
    onRoom       Room      groupsOfSummary, groupsOfLobby      subscribe_to_rooms
`);
  });

  it('prints the whole description as JSON', async () => {
    const { written } = await run(sampleApp, '--json');
    const [route] = JSON.parse(written).routes;
    expect(route).to.include({ path: '/ws/chat/', isMultiplexed: true });
    expect(route.streams[0].actions.find(({ name }: { name: string }) => name === 'create_message')).to.deep.include({
      member: 'createMessage',
      status: 201,
      isAtomic: true,
      isDetached: false,
    });
  });

  describe('ends with 1 and a sentence', () => {
    let project: ScratchProject;

    before(async () => {
      project = await ScratchProject.create({ signalbox: '.', 'reflect-metadata': 'reflect-metadata' });
    });
    after(() => project.remove());

    let count = 0;
    /** Each in a module of its own: Node imports a file once. */
    const failure = async (text: string) => {
      count += 1;
      const app = `./dist/app-${count}.js`;
      await project.write({ 'package.json': JSON.stringify({ type: 'module', signalbox: { app } }), [app]: text });
      const { code, errors } = await run(project.folder);
      expect(code).to.equal(1);
      return errors.replaceAll(app, 'APP');
    };

    it('outside of a package', async () => {
      const { code, errors } = await run('/');
      expect(code).to.equal(1);
      expect(errors).to.equal('There is no package.json here. Run this in the folder of an application.\n');
    });

    it('where package.json is not valid JSON', async () => {
      await project.write({ 'package.json': '{' });
      expect((await run(project.folder)).errors).to.match(/^package\.json is not valid JSON: /);
    });

    it('where the application is not built', async () => {
      await project.write({ 'package.json': '{ "signalbox": { "app": "./built/main.js" } }' });
      expect((await run(project.folder)).errors).to.equal(
        './built/main.js is not there. Build the application: npm run build\n',
      );
      await project.write({ 'package.json': '{}' });
      expect((await run(project.folder)).errors).to.equal(
        './dist/app.js is not there. Build the application, or say in package.json where it is built to: "signalbox": { "app": "./dist/app.js" }\n',
      );
    });

    const way =
      'Export it as `app`, or let the default export be a function that makes it: export default async () => createApp({ … }).\n';

    it('where the module exports none', async () => {
      expect(await failure('export const other = 1;')).to.equal(`APP exports no application. ${way}`);
    });

    it('where what it exports is none', async () => {
      expect(await failure('export const app = { listen() {} };')).to.equal(
        `What APP exports is not an application of createApp. ${way}`,
      );
    });

    it('with the sentence of the framework, where it refuses the application', async () => {
      expect(
        await failure(`import { createApp } from 'signalbox'; export default () => createApp({ routes: [] });`),
      ).to.equal(
        'The application cannot be put together from APP:\ncreateApp.orm: is missing. Give what MikroORM.init resolves with: createApp({ orm: await MikroORM.init({ … }), … }).\n',
      );
    });

    it('with the way out, where two files import each other too early', async () => {
      expect(await failure("throw new ReferenceError(`Cannot access 'Room' before initialization`);")).to.match(
        /\nTwo files import each other, and one of them needs Room while it loads\. For a property of an entity, write its type as Rel<Room>: import \{ type Rel \} from '@mikro-orm\/core'; `@ManyToOne\(\(\) => Room\) name!: Rel<Room>`\.\n$/,
      );
    });

    it('with the stack, where something else throws', async () => {
      expect(await failure(`throw new TypeError('a mistake');`)).to.match(
        /^The application cannot be put together from APP:\nTypeError: a mistake\n {4}at file:/,
      );
    });
  });

  it('says that the sources are newer than what was built', async () => {
    const project = await ScratchProject.create({});
    await project.write({
      'package.json': '{ "type": "module" }',
      'dist/app.js': 'export const app = { describe: () => ({ routes: [] }) };',
    });
    await utimes(join(project.folder, 'dist/app.js'), 0, 0);
    await project.write({ 'src/app.ts': '' });
    const { code, errors } = await run(project.folder);
    await project.remove();
    expect({ code, errors }).to.deep.equal({
      code: 0,
      errors: 'src/ was changed after the last build, which the following describes: npm run build\n',
    });
  });
});
