import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium, needsChromium } from './support/chromium.js';
import { type Instructions, packSignalbox, ReadersProject, readInstructions } from './support/readers-project.js';

const root = new URL('../../', import.meta.url);

/** In milliseconds, on a busy machine. */
const TIME_TO_PACK = 60_000;
const TIME_TO_BUILD = 240_000;
const TIME_TO_SHOW = 30_000;

/** Compiled with the reader's project: the second client follows what the first one does. */
const twoClients = `
import { createClient } from 'signalbox/client';
import type { Api } from './server.js';

const url = String(process.argv[2]);
const first = createClient<Api>(url);
const second = createClient<Api>(url);

// @ts-expect-error The server has no such field.
export const misspelt = () => first.todos.create({ data: { txt: 'Buy milk' } });

const events = second.todos.$on('onTodo', 'follow', {});
await events.ready;

const { id } = await first.todos.create({ data: { text: 'Buy milk' } });
await first.todos.toggle({ pk: id });
console.log(JSON.stringify(await second.todos.list()));
await first.todos.delete({ pk: id });
for await (const { action, data } of events) {
  console.log(action, JSON.stringify(data));
  if (action === 'delete') break;
}
const tooLong = first.todos.create({ data: { text: 'x'.repeat(101) } });
console.log(await tooLong.catch(({ message }: Error) => message));
first.$close();
second.$close();
`;

/** For `.ci/quick-start` the packages come from the registry, as a reader's do; else they are those of this repository. */
const isInstalled = process.env.QUICK_START === 'install';
const otherCompilers = isInstalled ? {} : { 'TypeScript 5.9': 'typescript-5', 'TypeScript 6': 'typescript-6' };

describe('The quick start', () => {
  let instructions: Instructions;
  let tarball: string;

  before(async function () {
    this.timeout(TIME_TO_PACK);
    instructions = await readInstructions('docs/quick-start.md');
    tarball = await packSignalbox();
  });

  it('installs the versions that this repository is tested with', async () => {
    const { devDependencies } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
    const pinned = instructions.commands.flatMap((command) => command.match(/@mikro-orm\/\S+/g) ?? []);
    expect(pinned).to.deep.equal(
      ['core', 'decorators', 'pglite'].map((name) => `@mikro-orm/${name}@${devDependencies[`@mikro-orm/${name}`]}`),
    );
  });

  it('installs what the README says', async () => {
    const readme = await readInstructions('README.md');
    const installs = instructions.commands.filter((command) => command.startsWith('npm install'));
    expect(readme.commands).to.include.members(installs);
  });

  describe(isInstalled ? 'with the packages of the registry' : 'with TypeScript 7', function () {
    this.timeout(TIME_TO_BUILD);
    let project: ReadersProject;
    let address: string;

    before(async () => {
      project = await ReadersProject.create(instructions, tarball, isInstalled ? undefined : 'typescript');
      await project.write({ 'src/two-clients.ts': twoClients });
      await project.run('npm run build');
      address = await project.start();
    });
    after(() => project?.remove());

    it('serves the page and its script', async () => {
      const page = await fetch(address);
      expect(page.headers.get('content-type')).to.equal('text/html');
      expect(await page.text()).to.include('<title>Todos</title>');
      const script = await fetch(new URL('/page.js', address));
      expect(script.headers.get('content-type')).to.equal('text/javascript');
      expect((await fetch(new URL('/server.js', address))).status).to.equal(404);
    });

    it('shows one typed client what another one does', async () => {
      const url = `${address.replace('http', 'ws')}/ws/`;
      expect((await project.run(`node dist/two-clients.js ${url}`)).trim().split('\n')).to.deep.equal([
        '[{"id":1,"text":"Buy milk","done":true}]',
        'create {"id":1,"text":"Buy milk","done":false}',
        'update {"id":1,"text":"Buy milk","done":true}',
        'delete {"pk":1}',
        'text: Ensure this field has no more than 100 characters.',
      ]);
    });

    describe('in two tabs of a browser', () => tabs(() => address));

    for (const [name, typescript] of Object.entries(otherCompilers)) {
      // What runs is these bytes, so the facts above hold for each compiler.
      it(`is compiled by ${name} to the same bytes`, async () => {
        const built = await project.readBuilt();
        expect(Object.keys(built)).to.include.members(['dist/server.js', 'dist/two-clients.js', 'public/page.js']);
        await project.removeBuilt();
        expect(await project.readBuilt()).to.deep.equal({});
        await project.useCompiler(typescript);
        await project.run('npm run build');
        expect(await project.readBuilt()).to.deep.equal(built);
      });
    }
  });
});

function tabs(address: () => string): void {
  let browser: Browser | undefined;
  let context: BrowserContext;
  let one: Page;
  let other: Page;
  const errors: string[] = [];

  async function openTab(): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(TIME_TO_SHOW);
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('console', (entry) => entry.type() === 'error' && errors.push(entry.text()));
    await page.goto(address());
    await page.getByText('Connection: open').waitFor();
    return page;
  }

  before(async function () {
    needsChromium(this);
    browser = await launchChromium();
    context = await browser.newContext();
    one = await openTab();
    other = await openTab();
  });
  after(() => browser?.close());

  it('shows one what the other one types, ticks and deletes', async () => {
    await one.getByRole('textbox').fill('Water the plants');
    await one.keyboard.press('Enter');
    await other.getByText('Water the plants').waitFor();

    await other.getByRole('checkbox', { name: 'Water the plants' }).check();
    await one.getByRole('checkbox', { name: 'Water the plants', checked: true }).waitFor();

    await one.getByRole('button', { name: 'Delete Water the plants' }).click();
    await other.getByText('Water the plants').waitFor({ state: 'detached' });
  });

  it('shows the sentence with which the server refuses a text', async () => {
    await one.getByRole('textbox').fill('x'.repeat(101));
    await one.keyboard.press('Enter');
    await one.getByRole('alert').getByText('text: Ensure this field has no more than 100 characters.').waitFor();
  });

  it('has no error in its console', () => {
    expect(errors).to.deep.equal([]);
  });
}
